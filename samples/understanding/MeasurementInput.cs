namespace LowRank.Samples.Understanding;

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
