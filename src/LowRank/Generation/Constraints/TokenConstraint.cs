namespace LowRank.Generation;

/// <summary>A constraint on the tokens of a model. Thread-safe; requests share it, and with it the masks that were
/// computed.</summary>
/// <remarks>Masks take up to 16 MB per constraint; when there are more, they are computed again.</remarks>
public sealed class TokenConstraint
{
    private const int MostMaskBytes = 16 << 20;
    private const long MostWork = 10_000_000; // readings looked at for one mask: seconds where all states are new
    private const long QuickWork = 20_000;    // for one that a model waits for: less than a millisecond
    private const int MostForced = 256;

    private readonly TokenVocabulary vocabulary;
    private readonly ByteAutomaton automaton;
    private readonly Lazy<ByteAutomaton> aside; // for masks that take long: tokens are added to texts meanwhile
    private uint[]? startMask;
    private int masks;

    internal TokenConstraint(TextConstraint constraint, TokenVocabulary vocabulary)
    {
        this.vocabulary = vocabulary;
        Identity = constraint.Identity;
        var builder = new GrammarBuilder(vocabulary.MarkTexts);
        Grammar grammar = builder.Build(constraint, vocabulary.CanWrite);
        if (grammar.IsEmpty)
            throw new InputException(
                "The constraint allows no text that this tokenizer can write: it lacks tokens of single characters " +
                $"that every text needs, or the texts nest more than {Grammar.MostLevels} deep.");
        automaton = new ByteAutomaton(grammar);
        aside = new Lazy<ByteAutomaton>(() => new ByteAutomaton(grammar));
        if (!Start().HasAllowed)
            throw new InputException("The constraint's texts begin with characters that no token of this tokenizer " +
                "begins a text with.");
    }

    internal string Identity { get; }

    /// <summary>How many states were built so far.</summary>
    internal int StateCount => automaton.StateCount;

    /// <summary>Held while a mask that takes long is computed.</summary>
    internal Lock AsideGate => aside.Value.Gate;

    /// <summary>The state of a request that has written nothing yet.</summary>
    /// <param name="afterText">Whether the constraint begins within a text, rather than with its first token: some
    /// tokenizers leave out a space at the beginning of a text.</param>
    public ConstraintState Start(bool afterText = false) => Start(afterText, []);

    /// <summary>As <see cref="Start(bool)"/>, for a request with its own tokens that end a text.</summary>
    internal ConstraintState Start(IEnumerable<int> ends) => Start(afterText: false, ends);

    private ConstraintState Start(bool afterText, IEnumerable<int> ends)
    {
        int[] own = [.. ends.Where(end => end >= 0 && end >> 5 < MaskLength && !IsEnd(end))];
        lock (automaton.Gate)
        {
            Refresh();
            return new ConstraintState(this, automaton.Start, !afterText && vocabulary.HasStartForms, own);
        }
    }

    /// <summary>Whether the constraint allows exactly this text.</summary>
    internal bool Accepts(string text)
    {
        lock (automaton.Gate)
        {
            Refresh();
            return automaton.Accepts(text);
        }
    }

    /// <summary>Forgets all states and masks, as happens when there are too many.</summary>
    internal void Forget()
    {
        lock (automaton.Gate)
        {
            automaton.Forget();
            masks = 0;
        }
    }

    /// <summary>The state after a token; null if the token is not allowed.</summary>
    internal AutomatonState? After(AutomatonState state, int token, bool atStart)
    {
        lock (automaton.Gate)
        {
            Refresh();
            state = automaton.Current(state);
            if (vocabulary.IsMark(token)) state = automaton.StepMark(state, token);
            else
            {
                ReadOnlySpan<byte> bytes = vocabulary.BytesOf(token, atStart);
                if (bytes.IsEmpty) return null;
                foreach (byte value in bytes) state = automaton.Step(state, value);
            }
            return ReferenceEquals(state, automaton.Dead) ? null : state;
        }
    }

    /// <summary>A bit per token that is allowed in a state, if that is known or soon found; null if it takes longer
    /// than a model should wait.</summary>
    internal uint[]? TryMaskOf(AutomatonState state, bool atStart)
    {
        if (!atStart && state.Mask is { } known) return known;
        lock (automaton.Gate)
        {
            Refresh();
            if (atStart) return startMask ??= ComputeStart();
            AutomatonState current = automaton.Current(state);
            if (current.Finding is null) Keep(current, Compute(automaton, current, isQuick: true));
            return state.Mask = current.Mask;
        }
    }

    /// <summary>As <see cref="TryMaskOf"/>, however long it takes.</summary>
    internal uint[] MaskOf(AutomatonState state, bool atStart) =>
        TryMaskOf(state, atStart) ?? Find(state).GetAwaiter().GetResult();

    /// <summary>Finds a mask that takes long on another thread. Requests that need the same one share it.</summary>
    internal Task<uint[]> Find(AutomatonState state)
    {
        lock (automaton.Gate)
        {
            AutomatonState current = automaton.Current(state);
            return current.Finding ??= Task.Run(() => ComputeAside(current));
        }
    }

    /// <summary>The only bytes that may follow.</summary>
    internal byte[] ForcedBytes(AutomatonState state)
    {
        if (state.Forced is { } known) return known;
        lock (automaton.Gate)
        {
            Refresh();
            AutomatonState at = automaton.Current(state);
            List<byte> bytes = [];
            while (bytes.Count < MostForced && OnlyByte(at) is { } value)
            {
                bytes.Add(value);
                at = automaton.Step(at, value);
            }
            return state.Forced = [.. bytes];
        }
    }

    /// <summary>Whether nothing may follow.</summary>
    internal static bool IsAtEnd(AutomatonState state) => state.Readings.Length == 0;

    internal bool IsEnd(int token) => vocabulary.EndTokens.Contains(token);

    internal int MaskLength => vocabulary.MaskLength;

    private byte? OnlyByte(AutomatonState state)
    {
        if (state.Accepts) return null;
        int? only = null;
        foreach (Reading reading in state.Readings)
        {
            GrammarNode node = automaton.NodeOf(reading);
            if (node.Marks.Count > 0) return null;
            foreach (ByteEdge edge in node.Bytes)
            {
                if (edge.Low != edge.High || (only ?? edge.Low) != edge.Low) return null;
                only = edge.Low;
            }
        }
        return (byte?)only;
    }

    private void Refresh()
    {
        if (!automaton.IsFull && (long)masks * vocabulary.MaskLength * sizeof(uint) <= MostMaskBytes) return;
        automaton.Forget();
        masks = 0;
    }

    // The first token, whose bytes may differ from those that it has elsewhere.
    private uint[] ComputeStart()
    {
        uint[] mask = NewMask(automaton.Start);
        long work = MostWork;
        foreach (int token in vocabulary.Trie.Tokens)
        {
            ReadOnlySpan<byte> bytes = vocabulary.BytesOf(token, atStart: true);
            if (work <= 0 && bytes.Length > 1) continue; // as in Walk
            if (automaton.IsFull) automaton.Forget();
            AutomatonState state = automaton.Start;
            for (int i = 0; i < bytes.Length && !ReferenceEquals(state, automaton.Dead); i++)
            {
                state = automaton.Step(state, bytes[i]);
                work -= state.Readings.Length;
            }
            if (bytes.Length > 0 && !ReferenceEquals(state, automaton.Dead)) mask[token >> 5] |= 1u << token;
        }
        return mask;
    }

    private uint[] ComputeAside(AutomatonState state)
    {
        ByteAutomaton own = aside.Value;
        uint[] mask;
        lock (own.Gate)
        {
            if (own.IsFull) own.Forget();
            mask = Compute(own, own.Adopt(state), isQuick: false)!;
        }
        lock (automaton.Gate) Keep(state, mask);
        return mask;
    }

    private void Keep(AutomatonState state, uint[]? mask)
    {
        if (mask is null || state.Mask is not null) return;
        state.Mask = mask;
        masks++;
    }

    // Null if it is to be quick, and is not.
    private uint[]? Compute(ByteAutomaton from, AutomatonState state, bool isQuick)
    {
        uint[] mask = NewMask(state);
        bool isPlain = vocabulary.Plain.TryAllow(from, state, mask);
        bool isWhole = Walk(from, isPlain ? vocabulary.Plain.Others : vocabulary.Trie, state, mask, isQuick);
        return isWhole || !isQuick ? mask : null;
    }

    private uint[] NewMask(AutomatonState state)
    {
        var mask = new uint[vocabulary.MaskLength];
        if (state.Accepts)
            foreach (int end in vocabulary.EndTokens) mask[end >> 5] |= 1u << end;
        foreach (Reading reading in state.Readings)
            foreach ((int mark, _) in automaton.NodeOf(reading).Marks) mask[mark >> 5] |= 1u << mark;
        return mask;
    }

    // Follows the tree of tokens as far as the automaton goes; whether it did. When the most work is done, only tokens
    // of one byte are looked at for the rest: whatever is allowed can be written with them.
    private static bool Walk(ByteAutomaton automaton, TokenTrie trie, AutomatonState start, uint[] mask, bool isQuick)
    {
        long work = isQuick ? QuickWork : MostWork;
        (byte[] values, int[] depths, int[] ends, int[] tokenEnds) =
            (trie.Values, trie.Depths, trie.Ends, trie.TokenEnds);
        byte[] classOf = automaton.ClassOf;
        var way = new AutomatonState[trie.Deepest + 1];
        way[0] = start;
        AutomatonState dead = automaton.Dead;
        for (int node = 0; node < values.Length;)
        {
            int depth = depths[node];
            if (work <= 0 && isQuick) return false;
            if (work <= 0 && depth > 0)
            {
                node = ends[node];
                continue;
            }
            AutomatonState from = way[depth];
            AutomatonState to = from.Next?[classOf[values[node]]] ?? automaton.Step(from, values[node]);
            if (ReferenceEquals(to, dead))
            {
                node = ends[node];
                continue;
            }
            way[depth + 1] = to;
            if (!isQuick && automaton.IsFull)
            {
                automaton.Forget();
                for (int i = 0; i <= depth + 1; i++) way[i] = automaton.Adopt(way[i]);
                to = way[depth + 1];
            }
            for (int token = node == 0 ? 0 : tokenEnds[node - 1]; token < tokenEnds[node]; token++)
                mask[trie.Tokens[token] >> 5] |= 1u << trie.Tokens[token];
            work -= to.Readings.Length;
            node = work > 0 ? node + 1 : ends[node];
        }
        return work > 0;
    }
}
