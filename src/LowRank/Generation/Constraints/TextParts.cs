namespace LowRank.Generation;

/// <summary>How characters are written.</summary>
internal enum CharacterEncoding
{
    /// <summary>In UTF-8.</summary>
    Plain,

    /// <summary>Within a JSON string: in UTF-8 or escaped.</summary>
    JsonString,
}

/// <summary>One of several fixed texts.</summary>
internal sealed class LiteralPart(IReadOnlyList<string> texts) : TextConstraint(1)
{
    public IReadOnlyList<string> Texts => texts;

    internal override bool IsNullable => texts.Contains("");
}

/// <summary>Texts that an automaton matches.</summary>
internal sealed class PatternPart(CharacterAutomaton automaton, CharacterEncoding encoding) : TextConstraint(1)
{
    public CharacterAutomaton Automaton => automaton;

    public CharacterEncoding Encoding => encoding;

    internal override bool IsNullable => automaton.Accepts(0);
}

/// <summary>A constraint that is compiled once and used in several places, also within itself.</summary>
/// <param name="nests">Whether each use in itself is one level deeper.</param>
/// <remarks>What is inside of itself never matches the empty text.</remarks>
internal sealed class RulePart(bool nests) : TextConstraint(1)
{
    /// <summary>The content, set before the rule is used.</summary>
    public TextConstraint? Content { get; set; }

    public bool Nests => nests;

    internal override bool IsNullable => false;
}

/// <summary>A graph whose edges are parts: the texts along all ways from its start to its end.</summary>
internal sealed class GraphPart : TextConstraint
{
    /// <summary>Makes a graph.</summary>
    /// <param name="count">How many nodes it has.</param>
    /// <param name="start">The node where it starts.</param>
    /// <param name="end">The node where it ends.</param>
    /// <param name="edges">Its edges; a part that is null stands for the empty text. None lead in circles.</param>
    public GraphPart(int count, int start, int end, IReadOnlyList<(int From, TextConstraint? Part, int To)> edges)
        : base(1 + edges.Max(edge => edge.Part?.Depth ?? 0))
    {
        (Count, Start, End, Edges) = (count, start, end, edges);
        IsNullable = FindNullable();
    }

    public int Count { get; }

    public int Start { get; }

    public int End { get; }

    public IReadOnlyList<(int From, TextConstraint? Part, int To)> Edges { get; }

    internal override bool IsNullable { get; }

    public static TextConstraint Either(IReadOnlyList<TextConstraint> parts)
    {
        List<string> texts = [.. parts.OfType<LiteralPart>().SelectMany(part => part.Texts)];
        List<TextConstraint> all = [.. parts.Where(part => part is not LiteralPart)];
        if (texts.Count > 0 || all.Count == 0) all.Insert(0, new LiteralPart(texts));
        return all.Count == 1 ? all[0] is LiteralPart one ? one : new GraphPart(2, 0, 1, [(0, all[0], 1)])
            : new GraphPart(2, 0, 1, [.. all.Select(part => (0, (TextConstraint?)part, 1))]);
    }

    public static GraphPart Chain(params IReadOnlyList<TextConstraint> parts) =>
        parts.Count == 0 ? new GraphPart(2, 0, 1, [(0, null, 1)])
            : new GraphPart(parts.Count + 1, 0, parts.Count,
                [.. parts.Select((part, i) => (i, (TextConstraint?)part, i + 1))]);

    public static GraphPart Optional(TextConstraint part) => new(2, 0, 1, [(0, null, 1), (0, part, 1)]);

    /// <summary>The same texts without the empty one; null if there are no others.</summary>
    public static TextConstraint? WithoutEmpty(TextConstraint part) => part switch
    {
        { IsNullable: false } => part,
        LiteralPart literal => literal.Texts.Where(text => text.Length > 0).ToArray() is { Length: > 0 } texts
            ? new LiteralPart(texts) : null,
        PatternPart pattern => pattern.Automaton.Without(RegexAutomaton.Compile("", isSearch: false)) is
            { IsEmpty: false } rest ? new PatternPart(rest, pattern.Encoding) : null,
        RepeatPart repeat => new RepeatPart(repeat.Part, 1, repeat.Max),
        GraphPart graph => graph.WithoutEmpty(),
        _ => part,
    };

    // Twice the nodes: before and after something was written.
    private GraphPart? WithoutEmpty()
    {
        List<(int, TextConstraint?, int)> edges = [];
        foreach ((int from, TextConstraint? part, int to) in Edges)
        {
            edges.Add((from + Count, part, to + Count));
            if (part is null || part.IsNullable) edges.Add((from, null, to));
            if (part is not null && WithoutEmpty(part) is { } rest) edges.Add((from, rest, to + Count));
        }
        return edges.Exists(edge => edge.Item2 is not null)
            ? new GraphPart(2 * Count, Start, End + Count, edges) : null;
    }

    private bool FindNullable()
    {
        HashSet<int> reached = [];
        Stack<int> open = new([Start]);
        ILookup<int, (int From, TextConstraint? Part, int To)> from = Edges.ToLookup(edge => edge.From);
        while (open.TryPop(out int node))
            if (reached.Add(node))
                foreach ((_, TextConstraint? part, int to) in from[node])
                    if (part is null || part.IsNullable) open.Push(to);
        return reached.Contains(End);
    }
}

/// <summary>A part, which is not nullable, several times.</summary>
internal sealed class RepeatPart(TextConstraint part, int min, int? max) : TextConstraint(part.Depth + 1)
{
    public TextConstraint Part => part;

    public int Min => min;

    public int? Max => max;

    internal override bool IsNullable => min == 0;

    /// <summary>A part several times, with a separator between two.</summary>
    public static TextConstraint Of(TextConstraint part, int min, int? max, TextConstraint? separator)
    {
        if (max == 0) return new LiteralPart([""]);
        if (separator is not null)
        {
            TextConstraint all = GraphPart.Chain(
                part, Of(GraphPart.Chain(separator, part), Math.Max(min - 1, 0), max - 1, null));
            return min == 0 ? GraphPart.Optional(all) : all;
        }
        if (GraphPart.WithoutEmpty(part) is not { } full) return new LiteralPart([""]);
        return new RepeatPart(full, part.IsNullable ? 0 : min, max);
    }
}
