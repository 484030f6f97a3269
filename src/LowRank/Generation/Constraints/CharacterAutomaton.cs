namespace LowRank.Generation;

/// <summary>A deterministic automaton over Unicode characters: which texts match.</summary>
/// <remarks>Characters are in classes that no state tells apart. Every state can reach an accepting one, unless the
/// automaton matches nothing. State 0 is the start.</remarks>
internal sealed class CharacterAutomaton
{
    /// <summary>The most states of one.</summary>
    public const int MostStates = 20_000;

    private const int MostTransitions = 4_000_000;
    private const int Nowhere = -1;

    private readonly CharacterSet[] classes;
    private readonly int[] next; // [state, class]
    private readonly bool[] accepts;

    private readonly WorkBudget? budget; // of what is made from it

    private CharacterAutomaton(CharacterSet[] classes, int[] next, bool[] accepts, WorkBudget? budget = null) =>
        (this.classes, this.next, this.accepts, this.budget) = (classes, next, accepts, budget);

    /// <summary>Matches no text, not even the empty one.</summary>
    public bool IsEmpty => StateCount == 1 && !accepts[0];

    public int StateCount => accepts.Length;

    /// <summary>Any text.</summary>
    public static CharacterAutomaton Any { get; } = new([CharacterSet.All], [0], [true]);

    /// <summary>No text.</summary>
    public static CharacterAutomaton Nothing { get; } = new([], [], [false]);

    public bool Accepts(int state) => accepts[state];

    /// <summary>The same automaton, with a budget for what is made from it.</summary>
    public CharacterAutomaton With(WorkBudget budget) => new(classes, next, accepts, budget);

    /// <summary>Some texts.</summary>
    public static CharacterAutomaton Of(IReadOnlyCollection<string> texts, WorkBudget? budget = null)
    {
        List<Dictionary<int, int>> next = [[]];
        HashSet<int> ends = [];
        foreach (string text in texts)
        {
            int at = 0;
            foreach (System.Text.Rune rune in text.EnumerateRunes())
            {
                if (!next[at].TryGetValue(rune.Value, out int to))
                {
                    next[at][rune.Value] = to = next.Count;
                    next.Add([]);
                }
                at = to;
            }
            ends.Add(at);
        }
        int[] characters = [.. next.SelectMany(node => node.Keys).Distinct().Order()];
        return Explore(0, [.. characters.Select(CharacterSet.Of)],
            (state, index) => next[state].TryGetValue(characters[index], out int to) ? to : null, ends.Contains,
            budget);
    }

    /// <summary>Texts whose number of characters is in a range.</summary>
    public static CharacterAutomaton OfLength(int least, int? most, WorkBudget? budget = null)
    {
        if (Math.Max(least, most ?? 0) >= MostStates)
            throw new InputException($"counts more than {MostStates} characters beside another condition");
        return Explore(0, [CharacterSet.All],
            (count, _) => most is null ? Math.Min(count + 1, least) : count < most ? count + 1 : null,
            count => count >= least, budget);
    }

    /// <summary>The states that follow a state, each with the characters that lead to it.</summary>
    public IEnumerable<(CharacterSet Characters, int To)> From(int state)
    {
        var targets = new Dictionary<int, CharacterSet>();
        for (int i = 0; i < classes.Length; i++)
        {
            int to = next[state * classes.Length + i];
            if (to != Nowhere)
                targets[to] = targets.TryGetValue(to, out CharacterSet? set) ? set.Or(classes[i]) : classes[i];
        }
        return targets.Select(target => (target.Value, target.Key));
    }

    /// <summary>Explores an automaton from its start.</summary>
    /// <param name="start">The start.</param>
    /// <param name="classes">Classes of characters that no state tells apart.</param>
    /// <param name="step">The state after a character of a class; null for none.</param>
    /// <param name="accepts">Whether a text may end in a state.</param>
    /// <param name="budget">What it may cost, and what is made from it; null for any.</param>
    /// <exception cref="InputException">It has too many states.</exception>
    public static CharacterAutomaton Explore<T>(
        T start, IReadOnlyList<CharacterSet> classes, Func<T, int, T?> step, Func<T, bool> accepts,
        WorkBudget? budget = null) where T : struct
    {
        var numbers = new Dictionary<T, int> { [start] = 0 };
        List<T> states = [start];
        List<int> next = [];
        for (int state = 0; state < states.Count; state++)
        {
            budget?.Spend(classes.Count + 1);
            for (int i = 0; i < classes.Count; i++)
            {
                int to = Nowhere;
                if (step(states[state], i) is { } target && !numbers.TryGetValue(target, out to))
                {
                    numbers[target] = to = states.Count;
                    states.Add(target);
                }
                next.Add(to);
            }
            if (states.Count > MostStates || next.Count > MostTransitions)
                throw new InputException(
                    $"needs more than {MostStates} states or {MostTransitions} transitions; make repetitions shorter");
        }
        return Trimmed([.. classes], next, [.. states.Select(accepts)], budget);
    }

    public bool Matches(string text)
    {
        int state = 0;
        foreach (System.Text.Rune rune in text.EnumerateRunes())
        {
            int index = Array.FindIndex(classes, set => set.Contains(rune.Value));
            if (index < 0 || (state = next[state * classes.Length + index]) == Nowhere) return false;
        }
        return accepts[state];
    }

    /// <summary>Texts that match both.</summary>
    public CharacterAutomaton And(CharacterAutomaton other) =>
        ReferenceEquals(this, Any) ? other : ReferenceEquals(other, Any) ? this
        : Product(other, (left, right) => left && right, needsLeft: true, needsRight: true);

    /// <summary>Texts that match either.</summary>
    public CharacterAutomaton Or(CharacterAutomaton other) =>
        Product(other, (left, right) => left || right, needsLeft: false, needsRight: false);

    /// <summary>Texts that match this one and not the other.</summary>
    public CharacterAutomaton Without(CharacterAutomaton other) =>
        Product(other, (left, right) => left && !right, needsLeft: true, needsRight: false);

    /// <summary>The same texts after a character.</summary>
    public CharacterAutomaton After(int character)
    {
        CharacterSet mark = CharacterSet.Of(character);
        CharacterSet[] refined =
            [mark, .. classes.Select(set => set.Without(mark)).Where(set => !set.IsEmpty)];
        int[] own = [.. refined.Select(ClassOf)];
        return Explore(Nowhere, refined, (state, index) =>
        {
            int to = state != Nowhere ? To(state, own[index]) : index == 0 ? 0 : Nowhere;
            return to == Nowhere ? null : (int?)to;
        }, state => state != Nowhere && accepts[state], budget);
    }

    private int ClassOf(CharacterSet part) =>
        Array.FindIndex(classes, set => set.Contains(part.Ranges[0].Low));

    private int To(int state, int index) =>
        state == Nowhere || index == Nowhere ? Nowhere : next[state * classes.Length + index];

    private CharacterAutomaton Product(
        CharacterAutomaton other, Func<bool, bool, bool> accept, bool needsLeft, bool needsRight)
    {
        WorkBudget? both = budget ?? other.budget;
        both?.Spend((long)(classes.Length + 1) * (other.classes.Length + 1));
        (CharacterSet Characters, int Left, int Right)[] pairs = [.. Refine(other, needsLeft, needsRight)];
        return Explore((Left: 0, Right: 0), [.. pairs.Select(pair => pair.Characters)], (state, index) =>
        {
            (int Left, int Right) to = (To(state.Left, pairs[index].Left), other.To(state.Right, pairs[index].Right));
            bool isDead = to == (Nowhere, Nowhere) || (needsLeft && to.Left == Nowhere)
                || (needsRight && to.Right == Nowhere);
            return isDead ? null : to;
        }, state => accept(
            state.Left != Nowhere && accepts[state.Left], state.Right != Nowhere && other.accepts[state.Right]), both);
    }

    private IEnumerable<(CharacterSet, int, int)> Refine(CharacterAutomaton other, bool needsLeft, bool needsRight)
    {
        for (int i = 0; i < classes.Length; i++)
            for (int j = 0; j < other.classes.Length; j++)
                if (classes[i].And(other.classes[j]) is { IsEmpty: false } both) yield return (both, i, j);
        CharacterSet left = classes.Aggregate(CharacterSet.None, (all, set) => all.Or(set)),
            right = other.classes.Aggregate(CharacterSet.None, (all, set) => all.Or(set));
        if (!needsRight)
            for (int i = 0; i < classes.Length; i++)
                if (classes[i].Without(right) is { IsEmpty: false } own) yield return (own, i, Nowhere);
        if (needsLeft) yield break;
        for (int j = 0; j < other.classes.Length; j++)
            if (other.classes[j].Without(left) is { IsEmpty: false } own) yield return (own, Nowhere, j);
    }

    // Without the states from which no text can end.
    private static CharacterAutomaton Trimmed(
        CharacterSet[] classes, List<int> next, bool[] accepts, WorkBudget? budget)
    {
        int width = classes.Length;
        var sources = new List<int>[accepts.Length];
        for (int i = 0; i < next.Count; i++)
            if (next[i] != Nowhere) (sources[next[i]] ??= []).Add(i / width);
        var numbers = new int[accepts.Length];
        Array.Fill(numbers, Nowhere);
        Stack<int> open = new(Enumerable.Range(0, accepts.Length).Where(state => accepts[state]));
        var live = new bool[accepts.Length];
        foreach (int state in open) live[state] = true;
        while (open.TryPop(out int state))
            foreach (int source in sources[state] ?? [])
                if (!live[source])
                {
                    live[source] = true;
                    open.Push(source);
                }
        int count = 0;
        for (int state = 0; state < live.Length; state++) if (live[state]) numbers[state] = count++;
        if (count == 0) return new CharacterAutomaton([], [], [false], budget);
        // The start is live if any state is, and keeps its number.
        var kept = new int[count * width];
        var ends = new bool[count];
        for (int state = 0; state < live.Length; state++)
        {
            if (!live[state]) continue;
            ends[numbers[state]] = accepts[state];
            for (int i = 0; i < width; i++)
                kept[numbers[state] * width + i] =
                    next[state * width + i] is >= 0 and int to ? numbers[to] : Nowhere;
        }
        return new CharacterAutomaton(classes, kept, ends, budget);
    }
}
