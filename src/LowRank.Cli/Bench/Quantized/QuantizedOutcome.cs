namespace LowRank.Cli.Bench.Quantized;

/// <summary>What came of one run.</summary>
/// <param name="HeldOutLoss">At its end, in nats a token.</param>
/// <param name="TokensPerSecond">Tokens trained on over the time spent in steps.</param>
/// <param name="BytesPerWeight">Bytes of a quantised weight, scales included; 4 where none is.</param>
internal sealed record QuantizedOutcome(double HeldOutLoss, double TokensPerSecond, double BytesPerWeight);
