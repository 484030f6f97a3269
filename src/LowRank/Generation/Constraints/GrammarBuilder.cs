using System.Buffers;
using System.Text;

namespace LowRank.Generation;

/// <summary>Builds the grammar of a constraint.</summary>
/// <param name="marks">Special tokens by their text, which literals may be written with.</param>
internal sealed class GrammarBuilder(IReadOnlyDictionary<string, int> marks)
{
    private const int MostNodes = 400_000;

    private readonly SearchValues<char> firstOfMarks = SearchValues.Create([.. marks.Keys.Select(mark => mark[0])]);
    private readonly List<GrammarNode> nodes = [];
    private readonly Dictionary<RulePart, int> rules = [];
    private readonly Queue<(RulePart Rule, int Start)> open = [];
    private readonly Dictionary<(CharacterSet, CharacterEncoding), int> characterRules = [];

    /// <summary>The grammar of a constraint.</summary>
    /// <param name="constraint">The constraint.</param>
    /// <param name="canWrite">Whether a byte can be written alone.</param>
    /// <exception cref="InputException">It is too large.</exception>
    public Grammar Build(TextConstraint constraint, Func<byte, bool> canWrite)
    {
        int start = Add(), end = Add();
        nodes[end].IsEnd = true;
        Connect(constraint, start, end);
        while (open.TryDequeue(out (RulePart Rule, int Start) next))
        {
            int last = Add();
            nodes[last].IsEnd = true;
            Connect(next.Rule.Content!, next.Start, last);
        }
        return new Grammar(nodes, start, canWrite);
    }

    private int Add()
    {
        if (nodes.Count >= MostNodes)
            throw new InputException($"The constraint needs more than {MostNodes} states. Make it smaller.");
        nodes.Add(new GrammarNode());
        return nodes.Count - 1;
    }

    private void Connect(TextConstraint part, int from, int to)
    {
        switch (part)
        {
            case LiteralPart literal:
                ConnectTexts(literal.Texts, from, to);
                break;
            case PatternPart pattern:
                ConnectPattern(pattern, from, to);
                break;
            case RulePart rule:
                nodes[from].Calls.Add(new RuleCall(RuleOf(rule), to, rule.Nests));
                break;
            case RepeatPart repeat:
                (int loop, int body, int end) = (Add(), Add(), Add());
                nodes[from].Silent.Add(loop);
                nodes[loop].Loop = new GrammarLoop(body, repeat.Min, repeat.Max, to);
                nodes[end].IsEnd = true;
                Connect(repeat.Part, body, end);
                break;
            case GraphPart graph:
                int[] own = [.. Enumerable.Range(0, graph.Count)
                    .Select(node => node == graph.Start ? from : node == graph.End ? to : Add())];
                foreach ((int edgeFrom, TextConstraint? inner, int edgeTo) in graph.Edges)
                {
                    if (inner is not null) Connect(inner, own[edgeFrom], own[edgeTo]);
                    else nodes[own[edgeFrom]].Silent.Add(own[edgeTo]);
                }
                break;
            default:
                throw new ArgumentException($"A part of kind {part.GetType()} is not known.", nameof(part));
        }
    }

    private int RuleOf(RulePart rule)
    {
        if (rules.TryGetValue(rule, out int start)) return start;
        rules[rule] = start = Add();
        open.Enqueue((rule, start));
        return start;
    }

    // Texts with the same beginning share its nodes.
    private void ConnectTexts(IReadOnlyList<string> texts, int from, int to)
    {
        int root = from;
        if (texts.Count > 1) nodes[from].Silent.Add(root = Add());
        var shared = new Dictionary<(int From, byte Value), int>();
        foreach (string text in texts)
        {
            byte[] bytes = Encoding.UTF8.GetBytes(text);
            int[] way = new int[bytes.Length + 1];
            way[0] = root;
            for (int i = 0; i < bytes.Length; i++)
            {
                if (!shared.TryGetValue((way[i], bytes[i]), out way[i + 1]))
                {
                    shared[(way[i], bytes[i])] = way[i + 1] = Add();
                    nodes[way[i]].Bytes.Add(new ByteEdge(bytes[i], bytes[i], way[i + 1]));
                }
            }
            AddMarks(text, way);
            if (!nodes[way[^1]].Silent.Contains(to)) nodes[way[^1]].Silent.Add(to);
        }
    }

    private void AddMarks(string text, int[] way)
    {
        if (text.AsSpan().IndexOfAny(firstOfMarks) < 0) return;
        foreach ((string mark, int token) in marks)
            for (int at = text.IndexOf(mark, StringComparison.Ordinal); at >= 0;
                at = text.IndexOf(mark, at + 1, StringComparison.Ordinal))
            {
                int start = Encoding.UTF8.GetByteCount(text.AsSpan(0, at));
                (int, int) edge = (token, way[start + Encoding.UTF8.GetByteCount(mark)]);
                if (!nodes[way[start]].Marks.Contains(edge)) nodes[way[start]].Marks.Add(edge);
            }
    }

    private void ConnectPattern(PatternPart pattern, int from, int to)
    {
        CharacterAutomaton automaton = pattern.Automaton;
        int[] own = [.. Enumerable.Range(0, automaton.StateCount).Select(_ => Add())];
        nodes[from].Silent.Add(own[0]);
        for (int state = 0; state < own.Length; state++)
        {
            if (automaton.Accepts(state)) nodes[own[state]].Silent.Add(to);
            foreach ((CharacterSet set, int next) in automaton.From(state))
                ConnectCharacters(set, pattern.Encoding, own[state], own[next]);
        }
    }

    private void ConnectCharacters(CharacterSet set, CharacterEncoding encoding, int from, int to)
    {
        CharacterSet plain = set.And(EncodedCharacters.OneByte(encoding));
        foreach ((int low, int high) in plain.Ranges)
            nodes[from].Bytes.Add(new ByteEdge((byte)low, (byte)high, to));
        // In JSON every character may be escaped.
        CharacterSet rest = encoding == CharacterEncoding.Plain ? set.Without(plain) : set;
        if (!rest.IsEmpty) nodes[from].Calls.Add(new RuleCall(CharacterRule(rest, encoding), to, Nests: false));
    }

    // One character of a set, in more than one byte.
    private int CharacterRule(CharacterSet set, CharacterEncoding encoding)
    {
        if (characterRules.TryGetValue((set, encoding), out int start)) return start;
        (start, int end) = (Add(), Add());
        nodes[end].IsEnd = true;
        characterRules[(set, encoding)] = start;
        var shared = new Dictionary<(int From, ByteSpan Span), int>();
        foreach (ByteSpan[] spans in EncodedCharacters.Of(set, encoding))
        {
            int at = start;
            for (int i = 0; i < spans.Length; i++)
            {
                bool isLast = i == spans.Length - 1;
                if (!isLast && shared.TryGetValue((at, spans[i]), out int known))
                {
                    at = known;
                    continue;
                }
                int next = isLast ? end : shared[(at, spans[i])] = Add();
                foreach ((byte low, byte high) in spans[i].Bytes)
                    nodes[at].Bytes.Add(new ByteEdge(low, high, next));
                at = next;
            }
        }
        return start;
    }
}
