using System.Text;

namespace LowRank.Pages;

/// <summary>All measurements of docs/performance.md, in the page's order. Each kind of machine that was measured has a
/// folder of its own with some of them.</summary>
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

    private static readonly string[] Peft =
        ["--beside", MeasurementInput.Python.Place, "tests/LowRank.ParityTests/Reference/time_with_peft.py"];

    private static readonly Measurement Generate = new("generate", Bench("generate gpt2-small --rounds 9 --json"), 90)
        { Trial = Bench("generate base --batch 2 --prompt 8 --new 3 --rounds 1 --json") };

    /// <summary>The measurements.</summary>
    public static IReadOnlyList<Measurement> All { get; } =
    [
        new("optimizer", Bench("optimizer --repeats 100 --json"),
            10) { Trial = Bench("optimizer --weights 40000 --tensors 4 --repeats 3 --json") },
        Train,
        new("train_bfloat16", Bench("train gpt2-small --steps 4 --compute-dtype bfloat16 --json"), 50)
            { Trial = Bench("train base --batch 2 --length 32 --steps 1 --compute-dtype bfloat16 --json"),
            NeedsBf16Units = true },
        new("train_bfloat16_llama", Bench("train llama-1b --layers 2 --steps 4 --compute-dtype bfloat16 --json"), 60)
            { Trial = Bench("train base --batch 2 --length 32 --steps 1 --compute-dtype bfloat16 --json"),
            NeedsBf16Units = true },
        TrainCheckpointing,
        TrainAllLinear,
        BesidePeft("peft_gpt2", "gpt2-small"),
        BesidePeft("peft_llama", "llama-160m"),
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
        new("generate_llama",
            Bench("generate llama-160m --base-dtype float32 bfloat16 int8 nf4 --base-head base --rank 0 --rounds 2 " +
            "--json"), 80)
            { Trial = Bench(
                "generate base --base-dtype float32 nf4 --rank 0 --batch 2 --prompt 8 --new 3 --rounds 1 --json") },
        new("llama_cpp",
            Bench("generate llama-160m --base-dtype float32 bfloat16 int8 --base-head base --rank 0 --batch 1 " +
            $"--rounds 3 --llama-bench {MeasurementInput.LlamaBench.Place} --json"), 90)
            { Trial = Bench(
                "generate base --rank 0 --batch 1 --prompt 8 --new 3 --rounds 1 --llama-bench " +
                $"{MeasurementInput.LlamaBench.Place} --json") },
        Serve("serve", "float32", $"--rounds 2 --llama-bench {MeasurementInput.LlamaBench.Place} --llama-server " +
            $"{MeasurementInput.LlamaServer.Place}"),
        Serve("serve_int8", "int8", $"--rounds 2 --llama-bench {MeasurementInput.LlamaBench.Place} --llama-server " +
            $"{MeasurementInput.LlamaServer.Place}"),
        Serve("serve_load", "int8", "--batch 8 --rounds 1 --load 0.25 0.5 0.75 0.9"),
        Train.On(VectorLimit.Avx2, 60),
        TrainCheckpointing.On(VectorLimit.Avx2, 60),
        TrainAllLinear.On(VectorLimit.Avx2, 60),
        Lengths.On(VectorLimit.Avx2, 90),
        Generate.On(VectorLimit.Avx2, 120),
    ];

    /// <summary>Measurements that others replaced: nothing runs them again, and the page still shows them for machines
    /// that were measured before.</summary>
    public static IReadOnlyList<Measurement> Former { get; } =
    [
        new("peft", [MeasurementInput.Python.Place, "tests/LowRank.ParityTests/Reference/time_with_peft.py"], 60)
            { Trial = [] },
    ];

    /// <summary>The commands as lines of a page.</summary>
    public static string Commands()
    {
        var lines = new StringBuilder();
        foreach (Measurement measured in All)
            lines.Append("    ").Append(measured.Command).Append(" > ").Append(measured.Name).Append(".json\n");
        return lines.ToString();
    }

    private static Measurement Serve(string name, string format, string rest) =>
        new(name, Bench($"serve llama-160m --base-dtype {format} --base-head base --prompt 128 {rest} --json"), 120)
        { Trial = Bench("serve base --layers 1 --adapters 2 --prompt 8 --new 3 --batch 1 2 --rounds 1 --json") };

    private static Measurement BesidePeft(string name, string shape) =>
        new(name, [.. Bench($"train {shape} --steps 2 --json"), .. Peft], 70)
        { Trial = [.. Bench($"train {shape} --layers 1 --batch 1 --length 16 --steps 1 --json"), .. Peft] };

    private static Measurement Gpu(string name, string arguments) => new(name, Bench(arguments), 30)
    {
        Trial = Bench(arguments.Replace("gpt2-small", "base", StringComparison.Ordinal)
            .Replace("--batch 16 --length 512", "--batch 2 --length 32", StringComparison.Ordinal)
            .Replace("--steps 8", "--steps 1", StringComparison.Ordinal)),
    };

    private static string[] Bench(string arguments) => [Measurement.Program, "bench", .. arguments.Split(' ')];
}

/// <summary>A file in a folder of docs/figures/performance and the command that prints it.
/// <see cref="Measurements.All"/> is the only list of them: the page shows its commands, tests check the files against
/// it, and bench/LowRank.Bench runs it.</summary>
/// <param name="Name">The file, without extension.</param>
/// <param name="Words">The program and its arguments, with placeholders for the paths of inputs.</param>
/// <param name="Seconds">The approximate duration on two cores.</param>
public sealed record Measurement(string Name, IReadOnlyList<string> Words, int Seconds)
{
    /// <summary>The command line's name.</summary>
    public const string Program = "lowrank";

    /// <summary>Replaces <see cref="Words"/> in a trial run: a small model and few rounds, in seconds. Its numbers are
    /// meaningless.</summary>
    public required IReadOnlyList<string> Trial { get; init; }

    /// <summary>The limit on vector width; null for the processor's own.</summary>
    public VectorLimit? Limit { get; init; }

    /// <summary>Whether it needs a processor with units for products of bfloat16.</summary>
    public bool NeedsBf16Units { get; init; }

    /// <summary>Whether it measures a GPU, or beside one: such files lie in
    /// <see cref="PerformancePage.Folder"/> itself, the others in the folder of the processor's kind.</summary>
    public bool NeedsGpu => Inputs.Contains(MeasurementInput.Gpu);

    /// <summary>Whether <c>lowrank</c> measures, and itself records the command, the machine and the commit.</summary>
    public bool IsOwn => Words[0] == Program;

    /// <summary>The command as recorded in the file: inputs appear as <see cref="MeasurementInput.Place"/>.</summary>
    public string Command =>
        string.Join(' ', [.. Limit?.Environment.Select(setting => $"{setting.Key}={setting.Value}") ?? [], .. Words]);

    /// <summary>The inputs from outside the repository.</summary>
    public IEnumerable<MeasurementInput> Inputs =>
        MeasurementInput.All.Where(input => input == Beside || Words.Contains(input.Place));

    /// <summary>An input that must be present although the command does not name it, such as the GPU for a measurement
    /// of its machine's processor; null for none.</summary>
    public MeasurementInput? Beside { get; init; }

    /// <summary>The same measurement limited to narrower vectors, in its own file.</summary>
    /// <param name="limit">The limit.</param>
    /// <param name="seconds">The duration with the limit.</param>
    public Measurement On(VectorLimit limit, int seconds) =>
        this with { Name = $"{Name}_{limit.Name}", Limit = limit, Seconds = seconds };
}

/// <summary>An input of a measurement from outside the repository.</summary>
/// <param name="Option">The option of bench/LowRank.Bench that gives its path.</param>
/// <param name="Place">Its placeholder in commands.</param>
/// <param name="Says">What it is, and where to get it.</param>
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

    /// <summary>llama.cpp's benchmark.</summary>
    public static MeasurementInput LlamaBench { get; } =
        new("--llama-bench", "llama-bench", "llama.cpp's program llama-bench") { IsFile = false };

    /// <summary>llama.cpp's server.</summary>
    public static MeasurementInput LlamaServer { get; } =
        new("--llama-server", "llama-server", "llama.cpp's program llama-server") { IsFile = false };

    /// <summary>A GPU.</summary>
    public static MeasurementInput Gpu { get; } =
        new("--gpu", "cuda",
        "an NVIDIA GPU: cuda or cuda:N, with torch's CUDA libraries in place") { IsFile = false };

    /// <summary>All of them.</summary>
    public static IReadOnlyList<MeasurementInput> All { get; } = 
        [EndToEnd, Tokenizer, Python, LlamaBench, LlamaServer, Gpu];

    /// <summary>Whether it is a file or folder; a program's name or a device otherwise.</summary>
    public bool IsFile { get; private init; } = true;
}

/// <summary>Limits the processor to narrower vectors with environment variables: it computes like a processor without
/// the wider ones, with its own clock, caches and memory.</summary>
/// <param name="Name">The suffix of file names.</param>
/// <param name="Vectors">The description that the command line prints for such a process.</param>
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
