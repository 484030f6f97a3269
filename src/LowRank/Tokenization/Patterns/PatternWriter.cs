namespace LowRank.Tokenization.Patterns;

/// <summary>Collects the steps of a pattern.</summary>
/// <param name="registers">Counts registers, which the parts of a pattern share.</param>
internal sealed class PatternWriter(PatternWriter.Counter registers)
{
    private const int MostSteps = 20_000;
    private readonly List<PatternStep> steps = [];

    /// <summary>The number of the next step.</summary>
    public int Count => steps.Count;

    /// <summary>The steps of a whole pattern, and how many registers they use.</summary>
    public static (PatternStep[] Steps, int Registers) Compile(PatternNode pattern)
    {
        var counter = new Counter();
        return (new PatternWriter(counter).Part(pattern), counter.Value);
    }

    /// <summary>The steps of a part by itself.</summary>
    public PatternStep[] Part(PatternNode part)
    {
        var writer = new PatternWriter(registers);
        part.Write(writer);
        writer.Add(new PatternStep(PatternOperation.Match));
        return [.. writer.steps];
    }

    /// <summary>Adds a step.</summary>
    /// <exception cref="FormatException">There are too many: repetitions in repetitions multiply.</exception>
    public void Add(PatternStep step)
    {
        if (++registers.Steps > MostSteps) throw new FormatException($"it has more than {MostSteps} steps when its repetitions are written out");
        steps.Add(step);
    }

    /// <summary>Leaves room for a step that is known later.</summary>
    public int Reserve()
    {
        Add(default);
        return steps.Count - 1;
    }

    /// <summary>Sets a step that room was left for.</summary>
    public void Set(int index, PatternStep step) => steps[index] = step;

    /// <summary>A register of its own.</summary>
    public int NewRegister() => registers.Value++;

    /// <summary>What a pattern's parts count together.</summary>
    internal sealed class Counter
    {
        /// <summary>Registers in use.</summary>
        public int Value { get; set; }

        /// <summary>Steps written.</summary>
        public int Steps { get; set; }
    }
}
