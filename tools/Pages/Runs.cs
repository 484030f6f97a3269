namespace LowRank.Pages;

/// <summary>The runs of each experiment. Runs are shared: the same name is trained once.</summary>
public static class Runs
{
    /// <summary>The learning rate of the quickstart recipe.</summary>
    public const double RecipeRate = 5e-3;

    /// <summary>The ranks compared.</summary>
    public static IReadOnlyList<int> RankSteps { get; } = [1, 2, 4, 8, 16, 32];

    /// <summary>LoRA's rates, half a decade apart.</summary>
    public static IReadOnlyList<double> LoraRates { get; } = [5e-4, 1.6e-3, 5e-3, 1.6e-2, 5e-2, 1.6e-1];

    /// <summary>Full training's rates, one decade lower.</summary>
    public static IReadOnlyList<double> FullRates { get; } = [5e-5, 1.6e-4, 5e-4, 1.6e-3, 5e-3, 1.6e-2];

    /// <summary>Rates for a part of the model's own weights.</summary>
    public static IReadOnlyList<double> PartRates { get; } = [1.6e-3, 5e-3, 1.6e-2, 5e-2, 1.6e-1];

    /// <summary>Seeds for repeating a run, to show how much of a difference is chance.</summary>
    public static IReadOnlyList<RunSpec> Seeds { get; } =
        [Lora(16), Lora(16) with { Name = "lora-r16-seed1", Seed = 1 },
        Lora(16) with { Name = "lora-r16-seed2", Seed = 2 }];

    /// <summary>Loss, facts and size by rank.</summary>
    public static IReadOnlyList<RunSpec> Ranks { get; } = [.. RankSteps.Select(rank => Lora(rank))];

    /// <summary>Loss by rate.</summary>
    public static IReadOnlyList<RunSpec> Rates { get; } =
        [.. LoraRates.Select(rate => Lora(16, rate)), .. FullRates.Select(Full)];

    /// <summary>Parts of the model trained in full without LoRA: the tied embedding and head, and the last
    /// block.</summary>
    public static IReadOnlyList<RunSpec> Parts { get; } = [.. PartRates.Select(Head), .. PartRates.Select(LastBlock)];

    /// <summary>Adapters on different layers, with about as many weights as rank 4 on all layers.</summary>
    public static IReadOnlyList<RunSpec> Places { get; } =
    [
        Lora(4),
        Lora(20) with { Name = "place-query-value", Targets = ["q_proj", "v_proj"] },
        Lora(10) with { Name = "place-attention", Targets = ["q_proj", "k_proj", "v_proj", "o_proj"] },
        Lora(7) with { Name = "place-feed-forward", Targets = ["gate_proj", "up_proj", "down_proj"] },
        Lora(10) with { Name = "place-first-two", Layers = [0, 1] },
        Lora(10) with { Name = "place-last-two", Layers = [3, 4] },
    ];

    /// <summary>A quarter of the recipe's scale, by rate.</summary>
    public static IReadOnlyList<RunSpec> QuarterScale { get; } =
        [.. LoraRates.Skip(1).Take(4).Select(rate => Lora(16, rate) with { Name = $"alpha8-rate{rate}", Alpha = 8 })];

    /// <summary>Dropout on the input of A.</summary>
    public static IReadOnlyList<RunSpec> Dropouts { get; } =
        [Lora(16), .. new[] { 0.1, 0.3 }.Select(share => Lora(16) with { Name = $"dropout{share}", Dropout = share })];

    /// <summary>The experiments by their <c>--only</c> name, in running order.</summary>
    public static IReadOnlyDictionary<string, IReadOnlyList<RunSpec>> ByExperiment { get; } =
        new OrderedDictionary<string, IReadOnlyList<RunSpec>>
    {
        ["rank"] = Ranks,
        ["rate"] = Rates,
        ["forgetting"] = [Lora(2), Lora(16), .. FullRates.Select(Full)],
        ["latency"] = [Lora(2), Lora(16), Lora(32)],
        ["methods"] = [Lora(16), .. FullRates.Select(Full), .. Parts],
        ["places"] = Places,
        ["seeds"] = Seeds,
        ["alpha"] = QuarterScale,
        ["dropout"] = Dropouts,
    };

    /// <summary>LoRA on every linear layer.</summary>
    public static RunSpec Lora(int rank, double rate = RecipeRate) =>
        new(rate == RecipeRate ? $"lora-r{rank}" : $"lora-r{rank}-rate{rate}", rate) { Rank = rank };

    /// <summary>Every weight.</summary>
    public static RunSpec Full(double rate) => new($"full-rate{rate}", rate);

    /// <summary>The embedding table, which is the output head too.</summary>
    public static RunSpec Head(double rate) => new($"head-rate{rate}", rate) { WeightPrefix = "model.embed_tokens." };

    /// <summary>All weights of the last block.</summary>
    public static RunSpec LastBlock(double rate) =>
        new($"last-block-rate{rate}", rate) { WeightPrefix = "model.layers.4." };
}

/// <summary>One training run of the page.</summary>
/// <param name="Name">Its name in the results.</param>
/// <param name="LearningRate">Peak rate.</param>
public sealed record RunSpec(string Name, double LearningRate)
{
    /// <summary>Rank of a LoRA adapter; null if weights of the model itself are trained.</summary>
    public int? Rank { get; init; }

    /// <summary>The adapter's alpha; null for the recipe's alpha / rank.</summary>
    public double? Alpha { get; init; }

    /// <summary>Dropout on the input of A.</summary>
    public double Dropout { get; init; }

    /// <summary>The adapter's targets by module name; null for every linear layer.</summary>
    public IReadOnlyList<string>? Targets { get; init; }

    /// <summary>The layers adapted; null for all.</summary>
    public IReadOnlyList<int>? Layers { get; init; }

    /// <summary>Without a rank: the prefix of the trained weights' names; null trains every weight.</summary>
    public string? WeightPrefix { get; init; }

    /// <summary>A value of <c>adapter.method</c>, run through a recipe; null to use <see cref="Rank"/>.</summary>
    public string? Method { get; init; }

    /// <summary>The other keys of that recipe's <c>adapter</c> section, as YAML.</summary>
    public string AdapterKeys { get; init; } = "";

    /// <summary>Seed of the adapter's initial values and of the order of the rows.</summary>
    public long Seed { get; init; } = 42;
}
