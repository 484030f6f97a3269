namespace LowRank.Pages;

/// <summary>Every method on the same task, for the comparison in <c>docs/methods.md</c>.</summary>
public static class Experiments
{
    private const string Everywhere = "target_modules: all-linear";
    private static readonly long[] Seeds = [1];
    private const string Rank16 = Everywhere + ", rank: 16, alpha: 32";

    /// <summary>The methods in the table's order, each with its recipe keys and the first rate of its search.</summary>
    /// <remarks>The pairs have the quickstart's rank. BitFit is missing because the base has no biases.</remarks>
    public static IReadOnlyList<Experiment> All { get; } =
    [
        new("lora", Rank16, 5e-3),
        new("rslora", Rank16, 1.6e-3),
        new("lora_plus", Rank16, 1.6e-3),
        new("lora_fa", Rank16, 5e-3),
        new("dora", Rank16, 5e-3),
        new("adalora", Rank16, 1.6e-2),
        new("pissa", Rank16, 1.6e-3),
        new("olora", Rank16, 1.6e-3),
        new("orthogonal", Rank16, 5e-3),
        new("eva", Rank16, 5e-3),
        new("corda", Rank16, 1.6e-3),
        new("lora_ga", Rank16, 1.6e-3),
        new("loha", Everywhere + ", rank: 8, alpha: 16", 5e-3),
        new("lokr", Everywhere + ", rank: 8, alpha: 16", 1.6e-2),
        new("vera", Everywhere, 5e-2),
        new("ia3", Everywhere, 5e-2),
        new("prompt_tuning", "", 1.6e-1),
        new("prefix_tuning", "", 5e-2),
        new("full", "", 1.6e-3),
    ];

    /// <summary>The run of a method at a given rate.</summary>
    public static RunSpec Spec(Experiment way, double rate) =>
        new($"way-{way.Method}-rate{rate}", rate) { Method = way.Method, AdapterKeys = way.AdapterKeys };

    /// <summary>The best of the rates that were tried.</summary>
    /// <exception cref="InputException">The method was not measured.</exception>
    public static RunResult Best(Experiment way, Results results) => results.Runs
        .Where(run => run.Name.StartsWith($"way-{way.Method}-rate", StringComparison.Ordinal)
        && run.HeldOutLoss is not null).MinBy(run => run.HeldOutLoss)
        ?? throw new InputException(
            $"results.json has no run of {way.Method}. Measure it: run tools/Pages without --render.");

    /// <summary>The run of the best rate and the same with other seeds.</summary>
    public static IReadOnlyList<RunResult> BestOfSeeds(Experiment way, Results results) =>
        [Best(way, results), .. Repeats(way, results).Select(spec => results.Run(spec.Name))];

    /// <summary>The run of the best rate with other seeds.</summary>
    public static IEnumerable<RunSpec> Repeats(Experiment way, Results results)
    {
        RunSpec best = Spec(way, Best(way, results).LearningRate);
        return Seeds.Select(seed => best with { Name = $"way-{way.Method}-seed{seed}", Seed = seed });
    }

    /// <summary>Tries rates half a decade apart, following the falling loss, until the best rate has a worse one on
    /// either side.</summary>
    /// <param name="way">The method.</param>
    /// <param name="measure">Returns the held-out loss at a rate; null if training diverged.</param>
    public static void Search(Experiment way, Func<double, double?> measure)
    {
        var known = new Dictionary<int, double>();
        double At(int place) => known.TryGetValue(place, out double loss) ? loss : known[place] = measure(Rate(place))
            ?? double.PositiveInfinity;
        int best = Place(way.FirstRate);
        while (true)
        {
            int next = new[] { best - 1, best + 1 }.MinBy(At);
            if (At(next) >= At(best)) return;
            best = next;
        }
    }

    // Half decades: …, 1.6e-3, 5e-3, 1.6e-2, …
    private static double Rate(int place) =>
        double.Parse($"{(place % 2 == 0 ? "5" : "1.6")}e{(int)Math.Floor(place / 2.0) - (place % 2 == 0 ? 1 : 0)}");

    private static int Place(double rate) =>
        Enumerable.Range(-12, 14).MinBy(place => Math.Abs(Math.Log(Rate(place) / rate)));
}

/// <summary>A method of the comparison.</summary>
/// <param name="Method">The value of <c>adapter.method</c>.</param>
/// <param name="AdapterKeys">The other keys of the recipe's <c>adapter</c> section, as YAML.</param>
/// <param name="FirstRate">The first learning rate to try.</param>
public sealed record Experiment(string Method, string AdapterKeys, double FirstRate);
