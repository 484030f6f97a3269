namespace LowRank.Cli.Bench.Quantized;

/// <summary>What <c>lowrank bench quantized</c> found.</summary>
/// <param name="Format">The format of the quantised base.</param>
/// <param name="Plain">The run on float32.</param>
/// <param name="Packed">The run on the format.</param>
internal sealed record QuantizedMeasurement(string Format, QuantizedOutcome Plain, QuantizedOutcome Packed)
{
    /// <summary>Held-out loss on the format over that on float32.</summary>
    public double LossRatio => Packed.HeldOutLoss / Plain.HeldOutLoss;

    /// <summary>Time of a token on the format over that on float32.</summary>
    public double StepRatio => Plain.TokensPerSecond / Packed.TokensPerSecond;

    /// <summary>The object that <c>--json</c> prints.</summary>
    public IReadOnlyDictionary<string, object> Json() => new Dictionary<string, object>
    {
        ["float32"] = Run(Plain),
        [Format] = Run(Packed),
        ["loss_ratio"] = LossRatio,
        ["step_ratio"] = StepRatio,
        ["bytes_per_weight"] = Packed.BytesPerWeight,
    };

    private static object Run(QuantizedOutcome outcome) => new { held_out_loss = outcome.HeldOutLoss, tokens_per_second = outcome.TokensPerSecond };
}
