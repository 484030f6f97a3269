using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace LowRank.Training.Preferences;

/// <summary>The log-probabilities of pairs of completions, each summed over a completion's tokens: [pairs].</summary>
/// <param name="Chosen">log π of the preferred completions.</param>
/// <param name="Rejected">log π of the others.</param>
/// <param name="ChosenTokens">Number of tokens of each preferred completion.</param>
/// <param name="RejectedTokens">Number of tokens of each other one.</param>
internal sealed record PairScores(Tensor Chosen, Tensor Rejected, Tensor ChosenTokens, Tensor RejectedTokens)
{
    /// <summary>log π_ref of the preferred completions; the completions' own where there is no reference.</summary>
    public Tensor ReferenceChosen { get; init; } = Chosen;

    /// <summary>log π_ref of the others.</summary>
    public Tensor ReferenceRejected { get; init; } = Rejected;

    /// <summary>log π/π_ref of the preferred completions.</summary>
    public Tensor ChosenRatio => Chosen - ReferenceChosen;

    /// <summary>log π/π_ref of the others.</summary>
    public Tensor RejectedRatio => Rejected - ReferenceRejected;

    /// <summary>Δ, the difference of the ratios.</summary>
    public Tensor Delta => ChosenRatio - RejectedRatio;

    /// <summary>log π per token of the preferred completions.</summary>
    public Tensor ChosenPerToken => Chosen / ChosenTokens;

    /// <summary>log π per token of the others.</summary>
    public Tensor RejectedPerToken => Rejected / RejectedTokens;

    /// <summary>The difference of the ratios per token.</summary>
    public Tensor DeltaPerToken => ChosenRatio / ChosenTokens - RejectedRatio / RejectedTokens;
}

/// <summary>The losses by which DPO learns from pairs (arXiv 2305.18290 and its relatives), as TRL computes
/// them.</summary>
internal static class PairLosses
{
    /// <summary>DPO's own.</summary>
    public const string Default = "sigmoid";

    /// <summary>The chosen completion's cross-entropy per token of the step, which needs no pair.</summary>
    public const string Sft = "sft";

    private static readonly Dictionary<string, Func<PairScores, double, double, Tensor>> Formulas =
        new(StringComparer.Ordinal)
        {
            // −log σ(βΔ), arXiv 2305.18290, equation 7
            [Default] = (s, beta, _) => Softplus(s.Delta * Number(-beta)),
            // max(0, 1 − βΔ), arXiv 2305.10425
            ["hinge"] = (s, beta, _) => relu(Minus(1, s.Delta * Number(beta))),
            // (Δ per token − 1/2β)², arXiv 2310.12036, equation 17
            ["ipo"] = (s, beta, _) => s.DeltaPerToken.Plus(-1 / (2 * beta)).pow(Number(2)),
            // [−(1−ε)·log σ(βΔ) + ε·log σ(−βΔ)] / (1−2ε), arXiv 2403.00409
            ["robust"] = (s, beta, share) =>
                (Softplus(s.Delta * Number(-beta)) * Number(1 - share)
                - Softplus(s.Delta * Number(beta)) * Number(share))
                / Number(1 - 2 * share),
            // −log σ(β·Δ per token)
            ["sigmoid_norm"] = (s, beta, _) => Softplus(s.DeltaPerToken * Number(-beta)),
            // KL of σ(±βΔ) from (1−ε, ε), arXiv 2402.00856, equation 16
            ["exo"] = (s, beta, share) => Exo(s.Delta * Number(beta), share),
            // 1 − σ(β·chosen) + σ(β·rejected), arXiv 2408.06266, equation 7
            ["apo_zero"] = (s, beta, _) =>
                torch.sigmoid(s.ChosenRatio * Number(-beta)).Plus(torch.sigmoid(s.RejectedRatio * Number(beta))),
            // σ(β·chosen) + 1 − σ(βΔ), arXiv 2408.06266, equation 8
            ["apo_down"] = (s, beta, _) =>
                torch.sigmoid(s.ChosenRatio * Number(beta)).Plus(torch.sigmoid(s.Delta * Number(-beta))),
            // DPO's between the sorted ratios of the batch, arXiv 2406.05882
            ["aot"] = Aot,
        };

    /// <summary>The names of all losses of pairs.</summary>
    public static IReadOnlyCollection<string> Known => Formulas.Keys;

    /// <summary>The loss of each pair, [pairs].</summary>
    /// <param name="name">One of <see cref="Known"/>.</param>
    /// <param name="scores">The log-probabilities.</param>
    /// <param name="beta">β.</param>
    /// <param name="smoothing">ε.</param>
    public static Tensor Of(string name, PairScores scores, double beta, double smoothing) =>
        Formulas[name](scores, beta, smoothing);

    /// <summary>−log σ(βΔ̄ − γ)·(1−ε) − log σ(γ − βΔ̄)·ε, by the difference of log-probabilities without a reference:
    /// summed and without γ in CPO (arXiv 2401.08417, equation 3), per token in SimPO (2405.14734, equation
    /// 6).</summary>
    public static Tensor Contrast(Tensor difference, double beta, double gamma, double smoothing)
    {
        Tensor lead = (difference * Number(beta)).Plus(-gamma);
        return (Softplus(-lead) * Number(1 - smoothing)).Plus(Softplus(lead) * Number(smoothing));
    }

    /// <summary>The logarithm of the ratio of odds p/(1−p) of two completions, from their log-probabilities per token
    /// (ORPO, arXiv 2403.07691, equations 4 and 7).</summary>
    public static Tensor LogOddsRatio(Tensor chosen, Tensor rejected) =>
        chosen - rejected - (Log1MinusExp(chosen) - Log1MinusExp(rejected));

    // log(1 − eˣ) for x < 0, accurate on both sides of −log 2 (Mächler, 2012). A certain token (x = 0) counts as nearly
    // certain: the logarithm of 0 would end the run.
    private static Tensor Log1MinusExp(Tensor logarithm)
    {
        const double Half = -0.6931471805599453, Certain = -1e-7;
        Tensor x = logarithm.clamp_max(Number(Certain)), isNear = x.gt(Number(Half));
        // Each branch sees only what it is for: the gradient of the other would be not a number.
        Tensor near = where(isNear, x, full_like(x, Number(Half))), far = where(isNear, full_like(x, Number(Half)), x);
        return where(isNear, (-near.expm1()).log(), (-far.exp()).log1p());
    }

    private static Tensor Exo(Tensor scaled, double share) =>
        (torch.sigmoid(scaled) * (-Softplus(-scaled)).Plus(-Math.Log(1 - share))).Plus(
            torch.sigmoid(-scaled) * (-Softplus(scaled)).Plus(-Math.Log(share)));

    private static Tensor Aot(PairScores s, double beta, double share)
    {
        Tensor Sorted(Tensor differences) => differences.sort(0).Values;
        Tensor scaled = (Sorted(s.Chosen - s.Rejected) - Sorted(s.ReferenceChosen - s.ReferenceRejected))
            * Number(beta);
        return (Softplus(-scaled) * Number(1 - share)).Plus(Softplus(scaled) * Number(share));
    }

    // log(1 + eˣ) = −log σ(−x)
    private static Tensor Softplus(Tensor x) => -logsigmoid(-x);
}
