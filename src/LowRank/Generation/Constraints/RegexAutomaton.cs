namespace LowRank.Generation;

/// <summary>Compiles regular expressions into automata: Thompson's construction, then subsets of states.</summary>
internal sealed class RegexAutomaton(WorkBudget budget)
{
    private const int MostNodes = 20_000;
    private const long MostWork = 5_000_000; // steps: less than a second
    private const int Nowhere = -1;

    private readonly List<Node> nodes = [];
    private readonly Dictionary<int, int[]> subsets = [];
    private readonly Dictionary<string, int> numbers = new(StringComparer.Ordinal);

    private enum NodeKind
    {
        Split,
        Character,
        Start,
        End,
        Final,
    }

    /// <summary>The texts that match an expression.</summary>
    /// <param name="pattern">The expression.</param>
    /// <param name="isSearch">Whether it may match a part of the text, unless anchors say otherwise; otherwise it
    /// matches the whole text.</param>
    /// <param name="budget">What it may cost, and what is made from it; null for a fraction of a second.</param>
    /// <exception cref="InputException">The expression is not valid, not supported or too large.</exception>
    public static CharacterAutomaton Compile(string pattern, bool isSearch, WorkBudget? budget = null)
    {
        RegexNode node = RegexParser.Parse(pattern);
        try
        {
            return new RegexAutomaton(budget ?? new WorkBudget(MostWork)).Build(node, isSearch, budget);
        }
        catch (InputException e)
        {
            throw new InputException($"\"{pattern}\" cannot be used: it {e.Message}");
        }
    }

    private CharacterAutomaton Build(RegexNode node, bool isSearch, WorkBudget? later)
    {
        int final = Add(NodeKind.Final);
        int end = isSearch ? Loop(final) : final;
        int start = Chain(node, end);
        if (isSearch) start = Loop(start);
        CharacterSet[] sets = [.. nodes.Where(each => each.Set is not null).Select(each => each.Set!).Distinct()];
        CharacterSet[] classes = Classes(sets);
        Dictionary<CharacterSet, bool[]> holds = sets.ToDictionary(
            set => set, set => classes.Select(part => set.Contains(part.Ranges[0].Low)).ToArray());
        int first = Number(Closure([start], atStart: true), "^");
        return CharacterAutomaton.Explore(first, classes, (state, index) =>
        {
            List<int> targets = [];
            foreach (int at in subsets[state])
            {
                Work(1);
                if (nodes[at].Set is { } set && holds[set][index]) targets.Add(nodes[at].To);
            }
            return targets.Count == 0 ? null : Number(Closure(targets, atStart: false));
        }, state => subsets[state].Contains(final) || EndsHere(state, final, state == first), later);
    }

    private bool EndsHere(int state, int final, bool isFirst) =>
        Array.Exists(subsets[state], at => nodes[at].Kind == NodeKind.End)
        && Closure(subsets[state], isFirst, atEnd: true).Contains(final);

    // Classes of characters that no set tells apart.
    private CharacterSet[] Classes(CharacterSet[] sets)
    {
        List<CharacterSet> classes = [];
        foreach (CharacterSet set in sets)
        {
            CharacterSet rest = set;
            foreach (CharacterSet known in classes.ToArray())
            {
                Work(known.Ranges.Count + rest.Ranges.Count);
                CharacterSet both = known.And(rest);
                if (both.IsEmpty) continue;
                CharacterSet outside = known.Without(rest);
                rest = rest.Without(known);
                if (outside.IsEmpty) continue;
                classes[classes.IndexOf(known)] = both;
                classes.Add(outside);
            }
            if (!rest.IsEmpty) classes.Add(rest);
        }
        return [.. classes];
    }

    // Builds backwards: the node from which a part leads to the one after it.
    private int Chain(RegexNode node, int next)
    {
        Work(1);
        switch (node)
        {
            case RegexNode.Character character:
                return Add(NodeKind.Character, next, set: character.Set);
            case RegexNode.Concatenation sequence:
                for (int i = sequence.Parts.Count - 1; i >= 0; i--) next = Chain(sequence.Parts[i], next);
                return next;
            case RegexNode.Alternation alternation:
                int split = Nowhere;
                for (int i = alternation.Parts.Count - 1; i >= 0; i--)
                    split = Add(NodeKind.Split, Chain(alternation.Parts[i], next), split);
                return split;
            case RegexNode.Repetition repetition:
                return Repeated(repetition, next);
            default:
                return Add(node is RegexNode.Start ? NodeKind.Start : NodeKind.End, next);
        }
    }

    private int Repeated(RegexNode.Repetition repetition, int next)
    {
        if (repetition.Most is not { } most)
        {
            int loop = Add(NodeKind.Split, Nowhere, next);
            nodes[loop] = nodes[loop] with { To = Chain(repetition.Part, loop) };
            next = loop;
        }
        else
        {
            int end = next;
            for (int i = repetition.Least; i < most; i++)
                next = Add(NodeKind.Split, Chain(repetition.Part, next), end);
        }
        for (int i = 0; i < repetition.Least; i++) next = Chain(repetition.Part, next);
        return next;
    }

    // Any characters before or after a match.
    private int Loop(int next)
    {
        int loop = Add(NodeKind.Split, Nowhere, next);
        nodes[loop] = nodes[loop] with { To = Add(NodeKind.Character, loop, set: CharacterSet.All) };
        return loop;
    }

    private int Add(NodeKind kind, int to = Nowhere, int other = Nowhere, CharacterSet? set = null)
    {
        if (nodes.Count >= MostNodes)
            throw new InputException($"needs more than {MostNodes} states; make repetitions shorter");
        nodes.Add(new Node(kind, to, other, set));
        return nodes.Count - 1;
    }

    private int[] Closure(IEnumerable<int> from, bool atStart, bool atEnd = false)
    {
        HashSet<int> seen = [];
        Stack<int> open = new(from);
        while (open.TryPop(out int at))
        {
            if (at == Nowhere || !seen.Add(at)) continue;
            Work(1);
            Node node = nodes[at];
            if (node.Kind == NodeKind.Split) open.Push(node.Other);
            if (node.Kind == NodeKind.Split || (node.Kind == NodeKind.Start && atStart)
                || (node.Kind == NodeKind.End && atEnd))
                open.Push(node.To);
        }
        return [.. seen.Where(at => nodes[at].Kind is not NodeKind.Split).Order()];
    }

    // The first state is one of its own: only there does ^ match.
    private int Number(int[] subset, string mark = "")
    {
        string key = mark + string.Join(',', subset);
        if (numbers.TryGetValue(key, out int number)) return number;
        numbers[key] = number = numbers.Count;
        subsets[number] = subset;
        return number;
    }

    private void Work(long steps) => budget.Spend(steps);

    private readonly record struct Node(NodeKind Kind, int To, int Other, CharacterSet? Set);
}
