using System.Text;
using System.Text.Json.Nodes;

namespace LowRank.Jinja;

/// <summary>One rendering of a template: its scope, output, clock and cost.</summary>
internal sealed class Renderer
{
    // Texts captured from macros and blocks that contain generation spans. If such a text is written unchanged, by
    // reference, its spans move with it. Any text derived from it loses the spans.
    private readonly Dictionary<string, List<(int Start, int Length)>> _captured =
        new(ReferenceEqualityComparer.Instance);

    private readonly HashSet<string> _unplaced = new(ReferenceEqualityComparer.Instance);

    public Renderer(JinjaLimits limits, TimeProvider clock)
    {
        Budget = new Budget(limits);
        Clock = clock;
        Keys = new ValueComparer(this);
        Output = new OutputBuffer(Budget);
        Scope = Root = new Scope(GlobalFunctions.CreateScope());
    }

    public Budget Budget { get; }

    public TimeProvider Clock { get; }

    /// <summary>The comparer for dictionary keys.</summary>
    public ValueComparer Keys { get; }

    /// <summary>The outermost names of the template.</summary>
    public Scope Root { get; }

    /// <summary>The names currently in scope.</summary>
    public Scope Scope { get; set; }

    /// <summary>The current output.</summary>
    public OutputBuffer Output { get; private set; }

    public RenderedTemplate Run(TemplateBody body, JsonObject variables)
    {
        foreach (var (name, value) in JsonValues.Read(this, variables))
        {
            Root.Set(name, value);
        }

        Run(body.Statements);
        Output.Spans.Sort();
        return new RenderedTemplate(Output.ToString(), Output.Spans)
        {
            GenerationSpansComplete = _unplaced.Count == 0,
        };
    }

    /// <summary>Runs statements in the current scope.</summary>
    public Flow Run(IReadOnlyList<Statement> statements)
    {
        foreach (var statement in statements)
        {
            Budget.Begin(statement.Line);
            var flow = statement.Execute(this);
            if (flow != Flow.Normal)
            {
                return flow;
            }
        }

        return Flow.Normal;
    }

    /// <summary>Runs statements in a new scope.</summary>
    public Flow Run(IReadOnlyList<Statement> statements, Scope scope)
    {
        var outer = Scope;
        Scope = scope;
        var flow = Run(statements);
        Scope = outer;
        return flow;
    }

    /// <summary>Runs statements in a new scope and returns their output.</summary>
    public string Capture(IReadOnlyList<Statement> statements, Scope scope, out Flow flow)
    {
        var end = Flow.Normal;
        var text = Capture(() => end = Run(statements, scope));
        flow = end;
        return text;
    }

    /// <summary>Returns the output of an action.</summary>
    public string Capture(Action action)
    {
        var outer = Output;
        Output = new OutputBuffer(Budget);
        action();
        var text = Output.ToString();
        if (Output.Spans.Count > 0 && text.Length > 0)
        {
            _captured[text] = Output.Spans;
            _unplaced.Add(text);
        }

        Output = outer;
        return text;
    }

    /// <summary>Writes a value as <c>{{ }}</c> does.</summary>
    public void Write(object value)
    {
        var text = Display.Text(this, value);
        if (_captured.Count > 0 && _captured.TryGetValue(text, out var spans))
        {
            _unplaced.Remove(text);
            Output.Spans.AddRange(spans.Select(span => (span.Start + Output.Length, span.Length)));
        }

        Output.Write(text);
    }

    /// <summary>Runs the statements of a generation block and records the span of their output.</summary>
    public void RunGeneration(IReadOnlyList<Statement> statements)
    {
        var start = Output.Length;
        Run(statements, new Scope(Scope));
        if (Output.Length > start)
        {
            Output.Spans.Add((start, Output.Length - start));
        }
    }
}

/// <summary>The text written so far, with the spans of generation blocks.</summary>
internal sealed class OutputBuffer(Budget budget)
{
    private readonly StringBuilder _text = new();

    /// <summary>The spans of generation blocks, in the order they were written.</summary>
    public List<(int Start, int Length)> Spans { get; } = [];

    /// <summary>The characters written so far.</summary>
    public int Length => _text.Length;

    /// <summary>Appends text.</summary>
    public void Write(string text)
    {
        budget.CheckLength((long)_text.Length + text.Length);
        budget.SpendCharacters(text.Length);
        _text.Append(text);
    }

    /// <summary>The text written.</summary>
    public override string ToString() => _text.ToString();
}

/// <summary>The names that a part of the template sees: its own, then those of the enclosing scopes. Assignments affect
/// only its own names.</summary>
internal sealed class Scope(Scope? parent)
{
    private readonly Dictionary<string, object> _names = new(StringComparer.Ordinal);

    /// <summary>The value of a name, or null if it is not set.</summary>
    public object? Find(string name)
    {
        for (var scope = this; scope is not null; scope = scope.Parent)
        {
            if (scope._names.TryGetValue(name, out var value))
            {
                return value;
            }
        }

        return null;
    }

    /// <summary>Sets a name in this scope.</summary>
    public void Set(string name, object value) => _names[name] = value;

    private Scope? Parent { get; } = parent;
}
