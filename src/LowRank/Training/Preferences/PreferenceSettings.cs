namespace LowRank.Training.Preferences;

/// <summary>What preferences are learned by, and how.</summary>
internal sealed record PreferenceSettings
{
    /// <summary>dpo (arXiv 2305.18290), kto (2402.01306), orpo (2403.07691), cpo (2401.08417) or simpo
    /// (2405.14734).</summary>
    public required string Type { get; init; }

    /// <summary>The losses of dpo, names of <see cref="LossNames"/>.</summary>
    public IReadOnlyList<string> Losses { get; init; } = [PairLosses.Default];

    /// <summary>The factor of each loss; as many as losses.</summary>
    public IReadOnlyList<double> LossWeights { get; init; } = [1];

    /// <summary>β: how strongly the model is held to its reference (dpo, kto), the weight of the odds (orpo), or the
    /// scale of log-probabilities (cpo, simpo).</summary>
    public double Beta { get; init; } = 0.1;

    /// <summary>ε: the share of pairs that are taken to be the wrong way round.</summary>
    public double LabelSmoothing { get; init; }

    /// <summary>γ: the margin by which SimPO's chosen completion should lead.</summary>
    public double Gamma { get; init; } = 0.5;

    /// <summary>The weight of the chosen completion's cross-entropy beside CPO's and SimPO's loss.</summary>
    public double NllWeight { get; init; }

    /// <summary>The weight of completions that are wanted (kto).</summary>
    public double DesirableWeight { get; init; } = 1;

    /// <summary>The weight of completions that are not (kto).</summary>
    public double UndesirableWeight { get; init; } = 1;

    /// <summary>One of <see cref="ReferenceModel.Names"/>; null for adapter where training starts from one, else
    /// base.</summary>
    public string? Reference { get; init; }

    /// <summary>The losses of dpo. The names stand here, so that reading a recipe does not load torch.</summary>
    public static IReadOnlyList<string> LossNames { get; } =
        [PairLosses.Default, "hinge", "ipo", "robust", "sigmoid_norm", "exo", "apo_zero", "apo_down", "aot",
            PairLosses.Sft];

    /// <summary>The losses in which ε has an effect.</summary>
    public static IReadOnlyList<string> SmoothedLosses { get; } = ["robust", "exo", "aot"];

    /// <summary>The objectives that compare with a reference model.</summary>
    public static IReadOnlyList<string> WithReference { get; } = ["dpo", "kto"];

    /// <summary>Whether it learns from completions with a label instead of pairs.</summary>
    public bool IsRated => Type == "kto";

    /// <summary>Whether completions are compared by their log-probabilities per token.</summary>
    public bool ComparesPerToken => Type is "orpo" or "simpo";

    /// <summary>Whether log-probabilities are compared with a reference model's.</summary>
    public bool NeedsReference => WithReference.Contains(Type);
}
