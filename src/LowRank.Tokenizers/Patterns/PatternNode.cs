namespace LowRank.Tokenizers.Patterns;

/// <summary>A part of a parsed pattern.</summary>
/// <param name="Write">Emits its steps.</param>
/// <param name="Least">Minimum number of characters that it consumes.</param>
/// <param name="Most">Maximum number of characters that it consumes; null for no limit.</param>
/// <param name="Single">The character class, if it consumes exactly one character.</param>
internal sealed record PatternNode(Action<PatternWriter> Write, int Least, int? Most, CharacterClass? Single = null)
{
    /// <summary>Consumes nothing.</summary>
    public static PatternNode Empty { get; } = new(_ => { }, 0, 0);

    /// <summary>Consumes one character of a class.</summary>
    public static PatternNode Of(CharacterClass single) =>
        new(writer => writer.Add(new PatternStep(PatternOperation.Take, single)), 1, 1, single);

    /// <summary>Requires a kind of position.</summary>
    public static PatternNode At(PatternPlace place) =>
        new(writer => writer.Add(new PatternStep(PatternOperation.At, First: (int)place)), 0, 0);

    /// <summary>Parts in sequence.</summary>
    public static PatternNode Sequence(IReadOnlyList<PatternNode> parts) => parts.Count == 1 ? parts[0] : new(
        writer =>
        {
            foreach (PatternNode part in parts) part.Write(writer);
        },
        parts.Sum(part => part.Least), parts.Any(part => part.Most is null) ? null : parts.Sum(part => part.Most));

    /// <summary>Alternatives: the first part that leads to a match.</summary>
    public static PatternNode Choice(IReadOnlyList<PatternNode> parts) => parts.Count == 1 ? parts[0] : new(
        writer =>
        {
            var ends = new List<int>();
            foreach (PatternNode part in parts.SkipLast(1))
            {
                int fork = writer.Reserve();
                part.Write(writer);
                ends.Add(writer.Reserve());
                writer.Set(fork, new PatternStep(PatternOperation.Fork, First: fork + 1, Second: writer.Count));
            }
            parts[^1].Write(writer);
            foreach (int end in ends) writer.Set(end, new PatternStep(PatternOperation.Jump, First: writer.Count));
        },
        parts.Min(part => part.Least), parts.Any(part => part.Most is null) ? null : parts.Max(part => part.Most));

    /// <summary>A part that is matched separately: a look-around or an atomic group.</summary>
    public static PatternNode Alone(PatternOperation operation, PatternNode part) => new(
        writer => writer.Add(
            new PatternStep(operation, First: part.Least, Second: part.Most ?? int.MaxValue, Part: writer.Part(part))),
        operation == PatternOperation.Atomic ? part.Least : 0, operation == PatternOperation.Atomic ? part.Most : 0);

    /// <summary>A repeated part.</summary>
    /// <param name="part">The part.</param>
    /// <param name="least">Minimum number of repetitions.</param>
    /// <param name="most">Maximum number of repetitions; null for no limit.</param>
    /// <param name="isLazy">Whether fewer repetitions are tried first.</param>
    public static PatternNode Repeat(PatternNode part, int least, int? most, bool isLazy) => new(
        writer =>
        {
            if (part.Single is { } single && !isLazy)
            {
                writer.Add(new PatternStep(PatternOperation.TakeMany, single, least, most ?? int.MaxValue));
                return;
            }
            for (int i = 0; i < least; i++) part.Write(writer);
            if (most is null) WriteLoop(writer, part, isLazy);
            else WriteOptional(writer, part, most.Value - least, isLazy);
        },
        part.Least * least, part.Most == 0 ? 0 : part.Most * most);

    /// <summary>Like <see cref="Repeat"/>, but gives nothing back.</summary>
    public static PatternNode Keep(PatternNode part, int least, int? most)
    {
        PatternNode repeated = Repeat(part, least, most, isLazy: false);
        return part.Single is { } single
            ? repeated with { Write = writer =>
            writer.Add(new PatternStep(PatternOperation.TakeAll, single, least, most ?? int.MaxValue)) }
            : Alone(PatternOperation.Atomic, repeated);
    }

    private static void WriteLoop(PatternWriter writer, PatternNode part, bool isLazy)
    {
        int fork = writer.Reserve(), register = writer.NewRegister();
        writer.Add(new PatternStep(PatternOperation.Mark, First: register));
        part.Write(writer);
        int still = writer.Reserve();
        writer.Add(new PatternStep(PatternOperation.Jump, First: fork));
        writer.Set(still, new PatternStep(PatternOperation.LeaveWhenStill, First: register, Second: writer.Count));
        writer.Set(fork, Choose(fork + 1, writer.Count, isLazy));
    }

    private static void WriteOptional(PatternWriter writer, PatternNode part, int times, bool isLazy)
    {
        var forks = new List<int>();
        for (int i = 0; i < times; i++)
        {
            forks.Add(writer.Reserve());
            part.Write(writer);
        }
        foreach (int fork in forks) writer.Set(fork, Choose(fork + 1, writer.Count, isLazy));
    }

    private static PatternStep Choose(int into, int past, bool isLazy) =>
        isLazy ? new PatternStep(PatternOperation.Fork, First: past, Second: into)
            : new PatternStep(PatternOperation.Fork, First: into, Second: past);
}

/// <summary>Collects the steps of a pattern.</summary>
/// <param name="registers">Counts registers, which all parts of a pattern share.</param>
internal sealed class PatternWriter(PatternWriter.Counter registers)
{
    private const int MostSteps = 20_000;
    private readonly List<PatternStep> steps = [];

    /// <summary>The index of the next step.</summary>
    public int Count => steps.Count;

    /// <summary>The steps of a whole pattern, and the number of registers they use.</summary>
    public static (PatternStep[] Steps, int Registers) Compile(PatternNode pattern)
    {
        var counter = new Counter();
        return (new PatternWriter(counter).Part(pattern), counter.Value);
    }

    /// <summary>The steps of a separately matched part.</summary>
    public PatternStep[] Part(PatternNode part)
    {
        var writer = new PatternWriter(registers);
        part.Write(writer);
        writer.Add(new PatternStep(PatternOperation.Match));
        return [.. writer.steps];
    }

    /// <summary>Adds a step.</summary>
    /// <exception cref="FormatException">There are too many steps, because nested repetitions multiply.</exception>
    public void Add(PatternStep step)
    {
        if (++registers.Steps > MostSteps)
            throw new FormatException($"it has more than {MostSteps} steps when its repetitions are written out");
        steps.Add(step);
    }

    /// <summary>Reserves a step to be set later.</summary>
    public int Reserve()
    {
        Add(default);
        return steps.Count - 1;
    }

    /// <summary>Sets a reserved step.</summary>
    public void Set(int index, PatternStep step) => steps[index] = step;

    /// <summary>Allocates a register.</summary>
    public int NewRegister() => registers.Value++;

    /// <summary>Counters that a pattern's parts share.</summary>
    internal sealed class Counter
    {
        /// <summary>Number of registers in use.</summary>
        public int Value { get; set; }

        /// <summary>Number of steps emitted.</summary>
        public int Steps { get; set; }
    }
}
