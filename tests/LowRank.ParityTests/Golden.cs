using LowRank.Models;
using LowRank.Tensors;
using TorchSharp;

namespace LowRank.ParityTests;

/// <summary>One family's reference case: a tiny model and what transformers and PEFT compute with it.</summary>
public sealed class Golden : IDisposable
{
    private readonly SafeTensorsFile io;

    public Golden(string family)
    {
        Family = family;
        Folder = Path.Combine(AppContext.BaseDirectory, "Fixtures", "goldens", family);
        Model = PretrainedModel.Open(Folder);
        io = SafeTensorsFile.Open(Path.Combine(Folder, "io.safetensors"));
    }

    /// <summary>The families with adapters and trajectories, from the shared reference cases.</summary>
    public static TheoryData<string> Decoders => ["llama", "llama3_rope", "mistral", "qwen2", "qwen3", "gpt2"];

    /// <summary>Further settings of the same families, made by Reference/make_decoder_cases.py.</summary>
    public static TheoryData<string> Settings =>
        ["rope_linear", "rope_yarn", "rope_yarn_mscale", "llama_biases", "qwen2_windows", "qwen3_biases", "mistral_no_window"];

    public string Family { get; }

    public string Folder { get; }

    public PretrainedModel Model { get; }

    public torch.Tensor Read(string name) => io.Map(name);

    public static double LargestDeviation(torch.Tensor a, torch.Tensor b) => (a - b).abs().max().item<float>();

    public void Dispose()
    {
        Model.Dispose();
        io.Dispose();
    }
}
