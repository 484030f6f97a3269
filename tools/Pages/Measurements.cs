using System.Text;

namespace LowRank.Pages;

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

/// <summary>A file of docs/figures/performance and what prints it. <see cref="Measurements.All"/> is the one list of
/// them: the page shows its commands, tests hold the files to it, and bench/LowRank.Bench runs it.</summary>
/// <param name="Name">The file, without the ending.</param>
/// <param name="Words">The program and its arguments; the place of an input stands where its path goes.</param>
/// <param name="Seconds">What it takes, roughly, on two cores.</param>
public sealed record Measurement(string Name, IReadOnlyList<string> Words, int Seconds)
{
    /// <summary>The command line's name.</summary>
    public const string Program = "lowrank";

    /// <summary>What takes the place of <see cref="Words"/> to try whether all works: a small model and few rounds, in
    /// seconds. Its numbers say nothing.</summary>
    public required IReadOnlyList<string> Trial { get; init; }

    /// <summary>The vectors it is held to; null for what the processor has.</summary>
    public VectorLimit? Limit { get; init; }

    /// <summary>Whether the command line measures, and says itself with what command, where and of which
    /// commit.</summary>
    public bool IsOwn => Words[0] == Program;

    /// <summary>The command, as the file has it: paths of inputs are those of
    /// <see cref="MeasurementInput.Place"/>.</summary>
    public string Command =>
        string.Join(' ', [.. Limit?.Environment.Select(setting => $"{setting.Key}={setting.Value}") ?? [], .. Words]);

    /// <summary>What it needs from outside of the repository.</summary>
    public IEnumerable<MeasurementInput> Inputs =>
        MeasurementInput.All.Where(input => input == Beside || Words.Contains(input.Place));

    /// <summary>An input beside which it is measured though its command does not name it: the processor of a GPU's
    /// machine; null for none.</summary>
    public MeasurementInput? Beside { get; init; }

    /// <summary>The same, held to a processor with narrower vectors, in a file of its own.</summary>
    /// <param name="limit">Which.</param>
    /// <param name="seconds">What it takes then.</param>
    public Measurement On(VectorLimit limit, int seconds) =>
        this with { Name = $"{Name}_{limit.Name}", Limit = limit, Seconds = seconds };
}

/// <summary>What a measurement needs that the repository does not have.</summary>
/// <param name="Option">The option of bench/LowRank.Bench that says where it is.</param>
/// <param name="Place">What stands for it in commands.</param>
/// <param name="Says">What it is, and where it comes from.</param>
public sealed record MeasurementInput(string Option, string Place, string Says)
{
    /// <summary>The E2E data.</summary>
    public static MeasurementInput EndToEnd { get; } =
        new("--e2e", "e2e/valid.txt",
        "E2E's valid.txt, rows of prompt||completion (in microsoft/LoRA, examples/NLG/data/e2e)");

    /// <summary>GPT-2's tokenizer.</summary>
    public static MeasurementInput Tokenizer { get; } =
        new("--gpt2", "gpt2", "the folder of GPT-2's tokenizer: vocab.json and merges.txt, or tokenizer.json");

    /// <summary>A Python that has PEFT.</summary>
    public static MeasurementInput Python { get; } =
        new("--python", "python3", "a Python program that has torch, transformers and peft") { IsFile = false };

    /// <summary>A GPU.</summary>
    public static MeasurementInput Gpu { get; } =
        new("--gpu", "cuda",
        "a GPU of NVIDIA's: cuda or cuda:N, with torch's CUDA libraries in place") { IsFile = false };

    /// <summary>All of them.</summary>
    public static IReadOnlyList<MeasurementInput> All { get; } = [EndToEnd, Tokenizer, Python, Gpu];

    /// <summary>Whether it is a file or folder; a program's name or a device otherwise.</summary>
    public bool IsFile { get; private init; } = true;
}

/// <summary>Narrower vectors than the processor has, asked for by environment variables: it computes as one without
/// them would, with its own clock, caches and memory.</summary>
/// <param name="Name">What names of files end in.</param>
/// <param name="Vectors">What the command line says of such a process.</param>
/// <param name="Environment">The variables: .NET's, torch's, and those of the libraries that torch multiplies
/// with.</param>
public sealed record VectorLimit(string Name, string Vectors, IReadOnlyDictionary<string, string> Environment)
{
    /// <summary>No AVX-512. .NET 10 has one switch for all of it.</summary>
    public static VectorLimit Avx2 { get; } = new("avx2", "AVX2", new Dictionary<string, string>
    {
        ["DOTNET_EnableAVX512"] = "0", ["ATEN_CPU_CAPABILITY"] = "avx2", ["MKL_ENABLE_INSTRUCTIONS"] = "AVX2",
            ["ONEDNN_MAX_CPU_ISA"] = "AVX2",
    });

    /// <summary>All of them.</summary>
    public static IReadOnlyList<VectorLimit> All { get; } = [Avx2];
}
