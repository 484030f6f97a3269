namespace LowRank.Samples.Understanding.Reports;

/// <summary>Loss by the scale alpha / rank and the learning rate.</summary>
internal sealed class AlphaReport : IReport
{
    public string Name => "alpha";

    public string Table(Results results) =>
        Show.Table(["learning rate", "s = 0.5 (alpha 8)", "s = 2 (alpha 32)", "s = 8 (alpha 128)"],
        Runs.LoraRates.SkipLast(1).Select(rate => (IReadOnlyList<string>)
            [Show.Rate(rate), Cell(results, $"alpha8-rate{rate}"), Cell(results, Runs.Lora(16, rate).Name),
                Cell(results, $"way-rslora-rate{rate}")]));

    public string? Figure(Results results) => null;

    // The scale of rsLoRA at rank 16 and alpha 32, 32 / √16, is that of LoRA at alpha 128.
    private static string Cell(Results results, string name) => results.Find(name) is { } run
        ? Show.Loss(run.HeldOutLoss) : "";
}
