using LowRank.IO;
using LowRank.Kernels;
using LowRank.Models;
using LowRank.Quantization;
using TorchSharp;

namespace LowRank.ParityTests;

/// <summary>One family's reference case: a tiny model and what transformers and PEFT compute with it.</summary>
public sealed class Golden : IDisposable
{
    private readonly SafeTensorsFile io;

    /// <summary>Opens a case.</summary>
    /// <param name="family">Its folder's name.</param>
    /// <param name="model">A folder with another form of its model; null for its own.</param>
    /// <param name="baseDtype">How the linear layers' weights are kept.</param>
    /// <param name="device">Where it computes; null for <see cref="TestDevice"/>.</param>
    /// <param name="computeDtype">The type of products with frozen weights.</param>
    public Golden(
        string family, string? model = null, string baseDtype = WeightFormats.Auto, torch.Device? device = null,
        string computeDtype = ComputeTypes.Float32)
    {
        Family = family;
        Folder = Path.Combine(AppContext.BaseDirectory, "Fixtures", "goldens", family);
        Model = PretrainedModel.Open(model ?? Folder, device ?? TestDevice.Current, baseDtype: baseDtype,
            computeDtype: computeDtype);
        io = SafeTensorsFile.Open(Path.Combine(Folder, "io.safetensors"));
    }

    /// <summary>The families with adapters and trajectories, from the shared reference cases.</summary>
    public static TheoryData<string> Decoders =>
        ["llama", "llama3_rope", "mistral", "qwen2", "qwen3", "gpt2", "gemma2", "gemma3", "phi3", "gpt_neox", "opt",
            .. Plain];

    /// <summary>The families of Reference/make_plain_decoder_cases.py, with adapters and trajectories too.</summary>
    public static string[] Plain =>
        ["gemma", "granite", "smollm3", "olmo2", "olmo3", "ministral3", "glm4", "phi", "starcoder2", "stablelm",
            "falcon", "bloom", "gptj", "cohere2", "qwen2_moe"];

    /// <summary>Further settings of the same families, made by Reference/make_decoder_cases.py,
    /// make_setting_cases.py, make_family_cases.py and make_plain_decoder_cases.py.</summary>
    public static TheoryData<string> Settings =>
        ["rope_linear", "rope_yarn", "rope_yarn_mscale", "llama_biases", "qwen2_windows", "qwen3_biases",
            "mistral_no_window",
            "gemma2_windows", "gemma3_windows", "phi3_partial", "gpt_neox_sequential", "gpt_neox_parallel",
            "opt_norm_after", "mixtral", "qwen3_moe", "qwen3_moe_unnormalized",
            "smollm3_windows", "glm4_plain", "phi_norms", "starcoder2_plain", "stablelm_parallel", "falcon_groups",
            "falcon_one_norm", "falcon_rw", "bloom_heads", "cohere2_biases", "qwen2_moe_plain"];

    public string Family { get; }

    public string Folder { get; }

    public PretrainedModel Model { get; }

    public torch.Tensor Read(string name) => io.Map(name).to(Model.Network.Device);

    public bool Has(string name) => io.Entries.ContainsKey(name);

    /// <summary>The largest difference of the model's output from the reference's of a suffix; of both scores in
    /// question answering.</summary>
    public double HeadDeviation(string suffix)
    {
        using var scope = torch.NewDisposeScope();
        torch.Tensor found = Logits();
        return Has("start_logits")
            ? Math.Max(LargestDeviation(found.select(2, 0), Read("start_logits" + suffix)),
            LargestDeviation(found.select(2, 1), Read("end_logits" + suffix)))
            : LargestDeviation(found, Read("logits" + suffix));
    }

    /// <summary>What the model gives for the case's inputs, as the reference's <c>logits</c>.</summary>
    public torch.Tensor Logits()
    {
        var input = new ModelInput(Read("input_ids"), Read("attention_mask"), Has("token_type_ids")
            ? Read("token_type_ids") : null);
        return Model.Network switch
        {
            EncoderDecoder t5 => t5.Forward(input, input.Tokens.narrow(1, 0, 12)),
            ISequenceNetwork { Head: null } headless => headless.States(input),
            var network => ((ISequenceNetwork)network).Scores(input),
        };
    }

    public static double LargestDeviation(torch.Tensor a, torch.Tensor b) =>
        (a.cpu() - b.cpu()).abs().max().item<float>();

    public void Dispose()
    {
        Model.Dispose();
        io.Dispose();
    }
}
