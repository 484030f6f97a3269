using System.Text;

namespace LowRank.Generation;

/// <summary>The deterministic automaton of a grammar, built as it is used and forgotten when it is too large.
/// </summary>
/// <remarks>A state is the list of all readings of the text so far: a node of the grammar and the rules that wait for
/// the end of the one that it belongs to. The order of the readings depends on the text alone, never on what was
/// computed before. Callers hold <see cref="Gate"/>.</remarks>
internal sealed class ByteAutomaton
{
    /// <summary>The most readings of a text that are followed; of a text with more, the later ones are left out, which
    /// leaves out texts but never allows others.</summary>
    private const int MostReadings = 1000;

    private const int MostStates = 40_000;
    private const int MostHeld = 500_000; // readings of all states, some 20 MB

    private readonly Grammar grammar;
    private Dictionary<int[], AutomatonState> states = new(KeyComparer.Instance);
    private Dictionary<(int Return, int Count, GrammarFrame? Parent, bool Nests), GrammarFrame> frames = [];
    private int generation;
    private long held;

    public ByteAutomaton(Grammar grammar)
    {
        this.grammar = grammar;
        Dead = new AutomatonState([], false, []) { Generation = -1 };
        Start = Closure([new Reading(grammar.Start, null)]);
    }

    /// <summary>Held while states are made.</summary>
    public Lock Gate { get; } = new();

    public AutomatonState Start { get; private set; }

    /// <summary>The state of texts that are not allowed.</summary>
    public AutomatonState Dead { get; }

    /// <summary>The class of each byte, an index into a state's successors.</summary>
    public byte[] ClassOf => grammar.ClassOf;

    /// <summary>The node of a reading.</summary>
    public GrammarNode NodeOf(Reading reading) => grammar.Nodes[reading.Node];

    /// <summary>How many states there are.</summary>
    public int StateCount => states.Count;

    /// <summary>The state after a byte.</summary>
    public AutomatonState Step(AutomatonState state, byte value)
    {
        int index = grammar.ClassOf[value];
        AutomatonState?[] next = state.Next ??= new AutomatonState?[grammar.Representatives.Length];
        return next[index] ??= Follow(state, grammar.Representatives[index]);
    }

    /// <summary>Whether a text is allowed.</summary>
    public bool Accepts(string text)
    {
        AutomatonState state = Start;
        foreach (byte value in Encoding.UTF8.GetBytes(text)) state = Step(state, value);
        return state.Accepts;
    }

    /// <summary>The state after a special token.</summary>
    public AutomatonState StepMark(AutomatonState state, int token)
    {
        List<Reading> seeds = [];
        foreach (Reading reading in state.Readings)
            foreach ((int mark, int to) in grammar.Nodes[reading.Node].Marks)
                if (mark == token) seeds.Add(new Reading(to, reading.Frame));
        return seeds.Count == 0 ? Dead : Closure(seeds);
    }

    /// <summary>The state as one of this time, after states were forgotten.</summary>
    public AutomatonState Current(AutomatonState state) =>
        state.Generation == generation || state.Generation < 0 ? state : Adopt(state);

    /// <summary>The same state as one of this automaton, after states were forgotten or of another automaton of the
    /// same grammar.</summary>
    public AutomatonState Adopt(AutomatonState state) => Closure([.. state.Seeds.Select(Adopted)]);

    /// <summary>Whether so many states are known that they are to be forgotten.</summary>
    public bool IsFull => states.Count > MostStates || held > MostHeld;

    /// <summary>Forgets all states. Those in use stay valid, but are not found any more (<see
    /// cref="Current"/>).</summary>
    public void Forget()
    {
        generation++;
        states = new(KeyComparer.Instance);
        frames = [];
        held = 0;
        Start = Closure([new Reading(grammar.Start, null)]);
    }

    private Reading Adopted(Reading reading) => reading with { Frame = Adopted(reading.Frame) };

    private GrammarFrame? Adopted(GrammarFrame? frame)
    {
        Stack<GrammarFrame> all = [];
        for (GrammarFrame? at = frame; at is not null; at = at.Parent) all.Push(at);
        GrammarFrame? parent = null;
        foreach (GrammarFrame each in all)
            parent = Frame(each.Return, each.Count, parent, each.Level > (each.Parent?.Level ?? 0));
        return parent;
    }

    private AutomatonState Follow(AutomatonState state, byte value)
    {
        List<Reading> seeds = [];
        foreach (Reading reading in state.Readings)
            foreach (ByteEdge edge in grammar.Nodes[reading.Node].Bytes)
                if (edge.Low <= value && value <= edge.High) seeds.Add(new Reading(edge.To, reading.Frame));
        return seeds.Count == 0 ? Dead : Closure(seeds);
    }

    // All readings without writing anything.
    private AutomatonState Closure(List<Reading> seeds)
    {
        var walk = new Walk(this);
        foreach (Reading seed in seeds) walk.Add(seed.Node, seed.Frame, 0);
        walk.Run();
        if (walk.Readings.Count == 0 && !walk.Accepts) return Dead;
        var key = new int[2 * walk.Readings.Count + 1];
        for (int i = 0; i < walk.Readings.Count; i++)
            (key[2 * i], key[2 * i + 1]) = (walk.Readings[i].Node, walk.Readings[i].Frame?.Number ?? -1);
        key[^1] = walk.Accepts ? 1 : 0;
        if (states.TryGetValue(key, out AutomatonState? known)) return known;
        held += walk.Readings.Count;
        return states[key] = new AutomatonState([.. walk.Readings], walk.Accepts, [.. seeds])
            { Generation = generation };
    }

    private GrammarFrame Frame(int next, int count, GrammarFrame? parent, bool nests)
    {
        if (frames.TryGetValue((next, count, parent, nests), out GrammarFrame? frame)) return frame;
        return frames[(next, count, parent, nests)] =
            new GrammarFrame(next, count, parent, (parent?.Level ?? 0) + (nests ? 1 : 0), frames.Count);
    }

    private sealed class Walk(ByteAutomaton automaton)
    {
        private readonly List<(int Node, GrammarFrame? Frame, int Count)> open = [];
        private readonly HashSet<(int, GrammarFrame?, int)> seen = [];

        public List<Reading> Readings { get; } = [];

        public bool Accepts { get; private set; }

        public void Add(int node, GrammarFrame? frame, int count)
        {
            if ((frame?.Level ?? 0) + automaton.grammar.Levels[node] > Grammar.MostLevels) return;
            if (seen.Add((node, frame, count))) open.Add((node, frame, count));
        }

        public void Run()
        {
            for (int i = 0; i < open.Count && Readings.Count < MostReadings; i++)
            {
                (int at, GrammarFrame? frame, int count) = open[i];
                GrammarNode node = automaton.grammar.Nodes[at];
                if (node.Bytes.Count > 0 || node.Marks.Count > 0) Readings.Add(new Reading(at, frame));
                if (node.IsEnd)
                {
                    if (frame is null) Accepts = true;
                    else Add(frame.Return, frame.Parent, frame.Count);
                }
                foreach (int to in node.Silent) Add(to, frame, 0);
                foreach (RuleCall call in node.Calls) Use(call, frame);
                if (node.Loop is { } loop) Turn(at, loop, frame, count);
            }
        }

        private void Use(RuleCall call, GrammarFrame? frame)
        {
            int level = frame?.Level ?? 0;
            int[] levels = automaton.grammar.Levels;
            if (level + levels[call.Return] > Grammar.MostLevels
                || level + (call.Nests ? 1 : 0) + levels[call.Rule] > Grammar.MostLevels)
                return;
            Add(call.Rule, automaton.Frame(call.Return, 0, frame, call.Nests), 0);
        }

        private void Turn(int at, GrammarLoop loop, GrammarFrame? frame, int count)
        {
            int level = frame?.Level ?? 0;
            int[] levels = automaton.grammar.Levels;
            if (level + levels[loop.Exit] > Grammar.MostLevels) return;
            if (count >= loop.Min) Add(loop.Exit, frame, 0);
            if (count >= loop.Max || level + levels[loop.Body] > Grammar.MostLevels) return;
            // Without a maximum, nothing depends on the number once there are enough.
            int turns = loop.Max is null ? Math.Min(count + 1, loop.Min) : count + 1;
            Add(loop.Body, automaton.Frame(at, turns, frame, nests: false), 0);
        }
    }

    private sealed class KeyComparer : IEqualityComparer<int[]>
    {
        public static KeyComparer Instance { get; } = new();

        public bool Equals(int[]? x, int[]? y) => x.AsSpan().SequenceEqual(y);

        public int GetHashCode(int[] obj)
        {
            var code = new HashCode();
            code.AddBytes(System.Runtime.InteropServices.MemoryMarshal.AsBytes(obj.AsSpan()));
            return code.ToHashCode();
        }
    }
}

/// <summary>A reading of a text: where in the grammar it has arrived.</summary>
internal readonly record struct Reading(int Node, GrammarFrame? Frame);

/// <summary>A rule that waits for the end of one that it uses.</summary>
/// <param name="next">The node after the used rule.</param>
/// <param name="count">How often a loop has turned.</param>
/// <param name="parent">The frame of the rule itself.</param>
/// <param name="level">How many levels deep the used rule is.</param>
/// <param name="number">Its number among the frames.</param>
internal sealed class GrammarFrame(int next, int count, GrammarFrame? parent, int level, int number)
{
    public int Return => next;

    public int Count => count;

    public GrammarFrame? Parent => parent;

    public int Level => level;

    public int Number => number;
}

/// <summary>A state of a <see cref="ByteAutomaton"/>.</summary>
internal sealed class AutomatonState(Reading[] readings, bool accepts, Reading[] seeds)
{
    public Reading[] Readings => readings;

    /// <summary>Whether a text may end here.</summary>
    public bool Accepts => accepts;

    /// <summary>What the state was made from.</summary>
    public Reading[] Seeds => seeds;

    /// <summary>How often states were forgotten before this one was made.</summary>
    public required int Generation { get; init; }

    /// <summary>The states after each class of bytes, as far as known.</summary>
    public AutomatonState?[]? Next { get; set; }

    /// <summary>The state after every plain character (<see cref="PlainTokens"/>), or the dead one if they lead to
    /// several; null until asked for.</summary>
    public AutomatonState? AfterPlain { get; set; }

    /// <summary>The tokens that are allowed next, a bit each; null until asked for.</summary>
    public uint[]? Mask { get; set; }

    /// <summary>Where that takes long: the mask while another thread finds it; null until asked for.</summary>
    public Task<uint[]>? Finding { get; set; }

    /// <summary>The only bytes that may follow; null until asked for.</summary>
    public byte[]? Forced { get; set; }
}
