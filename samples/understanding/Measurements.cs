using System.Text;

namespace LowRank.Samples.Understanding;

/// <summary>Everything that docs/performance.md shows, in the page's order.</summary>
public static class Measurements
{
    private static readonly Measurement Train =
        new("train", Bench("train gpt2-small --steps 4 --json"),
        40) { Trial = Bench("train base --batch 2 --length 32 --steps 1 --json") };

    private static readonly Measurement TrainCheckpointing =
        new("train_checkpointing", Bench("train gpt2-small --steps 3 --json --checkpointing"), 40)
        { Trial = Bench("train base --batch 2 --length 32 --steps 1 --json --checkpointing") };

    private static readonly Measurement TrainAllLinear =
        new("train_all_linear", Bench("train gpt2-small --steps 4 --json --targets all-linear"), 40)
        { Trial = Bench("train base --batch 2 --length 32 --steps 1 --json --targets all-linear") };

    private static readonly Measurement Lengths =
        new("lengths",
        Bench($"lengths --data {MeasurementInput.EndToEnd.Place} --tokenizer {MeasurementInput.Tokenizer.Place} " +
        "--json"), 60)
        { Trial = Bench(
            $"lengths gpt2-small --data {MeasurementInput.EndToEnd.Place} --tokenizer " +
            $"{MeasurementInput.Tokenizer.Place} --batch 2 --steps 1 --json") };

    private static readonly Measurement Generate = new("generate", Bench("generate gpt2-small --rounds 9 --json"), 90)
        { Trial = Bench("generate base --batch 2 --prompt 8 --new 3 --rounds 1 --json") };

    /// <summary>The measurements.</summary>
    public static IReadOnlyList<Measurement> All { get; } =
    [
        new("optimizer", Bench("optimizer --repeats 100 --json"),
            10) { Trial = Bench("optimizer --weights 40000 --tensors 4 --repeats 3 --json") },
        Train,
        TrainCheckpointing,
        TrainAllLinear,
        new("peft", [MeasurementInput.Python.Place, "tests/LowRank.ParityTests/Reference/time_with_peft.py"], 60)
            { Trial = [MeasurementInput.Python.Place, "tests/LowRank.ParityTests/Reference/time_with_peft.py",
                "--batch", "1", "--length", "16", "--steps", "1"] },
        Gpu("gpu_processor", "train gpt2-small --steps 4 --json") with { Beside = MeasurementInput.Gpu },
        Gpu("gpu", $"train gpt2-small --steps 8 --device {MeasurementInput.Gpu.Place} --json"),
        Gpu("gpu_large",
        $"train gpt2-small --batch 16 --length 512 --steps 8 --device {MeasurementInput.Gpu.Place} --json"),
        Gpu("gpu_tf",
        $"train gpt2-small --batch 16 --length 512 --steps 8 --device {MeasurementInput.Gpu.Place} --tf32 --json"),
        Gpu("gpu_quantized",
        $"train gpt2-small --batch 16 --length 512 --steps 8 --device {MeasurementInput.Gpu.Place} --tf32 " +
        "--base-dtype nf4 --json"),
        new("attention", Bench("attention --rounds 20 --json"), 30) { Trial = Bench("attention --rounds 1 --json") },
        new("quantized", Bench("quantized recipes/quickstart.yaml --base-dtype nf4 --json"), 50)
            { Trial = Bench(
                "quantized recipes/quickstart.yaml --base-dtype nf4 --json --set training.epochs=null --set " +
                "training.steps=2") },
        Lengths,
        new("start", Bench("load gpt2-small --rounds 5 --json"),
        60) { Trial = Bench("load base --rows 16 --length 16 --rounds 1 --json") },
        new("growth", Bench("growth --json"),
        120) { Trial = Bench("growth --rows 64 --tokens 256 --layers 1 --steps 2 --rounds 1 --json") },
        Generate,
        Train.On(VectorLimit.Avx2, 60),
        TrainCheckpointing.On(VectorLimit.Avx2, 60),
        TrainAllLinear.On(VectorLimit.Avx2, 60),
        Lengths.On(VectorLimit.Avx2, 90),
        Generate.On(VectorLimit.Avx2, 120),
    ];

    /// <summary>The commands as lines of the page.</summary>
    public static string Commands()
    {
        var lines = new StringBuilder();
        foreach (Measurement measured in All)
            lines.Append("    ").Append(measured.Command).Append(" > ").Append(PerformancePage.Folder)
                .Append(measured.Name).Append(".json\n");
        return lines.ToString();
    }

    private static Measurement Gpu(string name, string arguments) => new(name, Bench(arguments), 30)
    {
        Trial = Bench(arguments.Replace("gpt2-small", "base", StringComparison.Ordinal)
            .Replace("--batch 16 --length 512", "--batch 2 --length 32", StringComparison.Ordinal)
            .Replace("--steps 8", "--steps 1", StringComparison.Ordinal)),
    };

    private static string[] Bench(string arguments) => [Measurement.Program, "bench", .. arguments.Split(' ')];
}
