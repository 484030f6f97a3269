namespace LowRank.Jinja;

/// <summary><c>{% set target = value %}</c>.</summary>
internal sealed class SetStatement(int line, Expression target, Expression value) : Statement(line)
{
    /// <inheritdoc/>
    public override Flow Execute(Renderer renderer)
    {
        Assignment.Assign(renderer, renderer.Scope, target, value.Evaluate(renderer));
        return Flow.Normal;
    }
}

/// <summary><c>{% set target %}...{% endset %}</c>: the block's text, passed through the filters, if any.</summary>
internal sealed class SetBlockStatement(
    int line, Expression target, FilterExpression? filter, IReadOnlyList<Statement> body) : Statement(line)
{
    /// <inheritdoc/>
    public override Flow Execute(Renderer renderer)
    {
        var text = renderer.Capture(body, new Scope(renderer.Scope), out var flow);
        if (flow == Flow.Normal)
        {
            Assignment.Assign(renderer, renderer.Scope, target, filter is null ? text : filter.Apply(renderer, text));
        }

        return flow;
    }
}

/// <summary>Assigns values to targets: names, attributes of namespaces, and tuples of these.</summary>
internal static class Assignment
{
    private static readonly string[] Reserved = ["true", "false", "none", "True", "False", "None"];

    /// <summary>Whether an expression can be assigned to.</summary>
    public static bool IsTarget(Expression target) => target switch
    {
        NameExpression name => !Reserved.Contains(name.Name),
        NamespaceReference => true,
        TupleExpression tuple => tuple.Items.All(IsTarget),
        _ => false,
    };

    /// <summary>The names that a target sets.</summary>
    public static IEnumerable<string> Names(Expression target) => target switch
    {
        NameExpression name => [name.Name],
        TupleExpression tuple => tuple.Items.SelectMany(Names),
        _ => [],
    };

    /// <summary>Assigns a value in a scope.</summary>
    public static void Assign(Renderer renderer, Scope scope, Expression target, object value)
    {
        switch (target)
        {
            case NameExpression name:
                scope.Set(name.Name, value);
                break;
            case NamespaceReference reference:
                var owner = renderer.Scope.Find(reference.Name) as NamespaceValue
                    ?? throw new TemplateException("cannot assign attribute on non-namespace object", target.Line);
                owner.Attributes[reference.Attribute] = value;
                break;
            default:
                Unpack(renderer, scope, (TupleExpression)target, value);
                break;
        }
    }

    private static void Unpack(Renderer renderer, Scope scope, TupleExpression target, object value)
    {
        var expected = target.Items.Count;
        var items = (Iteration.Find(renderer, value) ?? throw TemplateException.Type(
            $"cannot unpack non-iterable {TypeNames.Of(value)} object")).Take(expected + 1).ToList();
        if (items.Count != expected)
        {
            throw TemplateException.Value(items.Count < expected
                ? $"not enough values to unpack (expected {expected}, got {items.Count})"
                : $"too many values to unpack (expected {expected})");
        }

        for (var i = 0; i < expected; i++)
        {
            Assign(renderer, scope, target.Items[i], items[i]);
        }
    }
}

/// <summary>An attribute of a namespace as a target of <c>set</c>; never evaluated.</summary>
internal sealed class NamespaceReference(int line, string name, string attribute) : Expression(line)
{
    /// <summary>The variable that holds the namespace.</summary>
    public string Name { get; } = name;

    /// <summary>The attribute.</summary>
    public string Attribute { get; } = attribute;

    /// <inheritdoc/>
    protected override object Compute(Renderer renderer) =>
        throw new InvalidOperationException("a target of an assignment has no value");
}

/// <summary><c>{% macro %}</c>.</summary>
internal sealed class MacroStatement(int line, MacroDefinition definition) : Statement(line)
{
    /// <inheritdoc/>
    public override Flow Execute(Renderer renderer)
    {
        renderer.Scope.Set(definition.Name, new MacroValue(definition, renderer.Scope));
        return Flow.Normal;
    }
}

/// <summary>The definition of a macro or of the body of a call block.</summary>
/// <param name="Name">The macro's name.</param>
/// <param name="Parameters">The parameters in order.</param>
/// <param name="Body">The statements.</param>
/// <param name="Names">The names that the body reads; three special ones are set only if they are read.</param>
internal sealed record MacroDefinition(
    string Name,
    IReadOnlyList<MacroParameter> Parameters,
    IReadOnlyList<Statement> Body,
    IReadOnlySet<string> Names)
{
    /// <summary>Whether the macro reads <c>caller</c>, and so may be used in a call block.</summary>
    public bool UsesCaller => Names.Contains("caller");

    /// <summary>Whether the macro reads <c>kwargs</c>, and so takes any named argument.</summary>
    public bool UsesNamedRest => Names.Contains("kwargs") && Parameters.All(parameter => parameter.Name != "kwargs");

    /// <summary>Whether the macro reads <c>varargs</c>, and so takes any number of arguments.</summary>
    public bool UsesPositionalRest =>
        Names.Contains("varargs") && Parameters.All(parameter => parameter.Name != "varargs");
}

/// <summary>A parameter of a macro with its default, if it has one.</summary>
internal sealed record MacroParameter(string Name, Expression? Default);

/// <summary><c>{% call %}</c>: calls a macro, which may render the block's body with <c>caller()</c>.</summary>
internal sealed class CallBlockStatement(int line, MacroDefinition body, CallExpression call) : Statement(line)
{
    /// <inheritdoc/>
    public override Flow Execute(Renderer renderer)
    {
        renderer.Write(call.Call(renderer, new MacroValue(body, renderer.Scope)));
        return Flow.Normal;
    }
}
