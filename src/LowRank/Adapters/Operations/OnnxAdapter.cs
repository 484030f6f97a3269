using LowRank.Adapters.Files;
using LowRank.IO.Onnx;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Operations;

/// <summary>Adapters as ONNX Runtime and ONNX Runtime GenAI load them: a file of named tensors that take the place of
/// inputs of a graph.</summary>
/// <remarks>Names and shapes are those of Olive's convert-adapters, whose graphs have such inputs:
/// <c>model.layers.0.self_attn.q_proj.lora_A.weight</c> [in, rank] and <c>….lora_B.weight</c> [rank, out], with the
/// scale multiplied into B.</remarks>
public static class OnnxAdapter
{
    private static readonly Dictionary<string, ScalarType> ByName = new()
    {
        ["f32"] = ScalarType.Float32, ["f16"] = ScalarType.Float16, ["bf16"] = ScalarType.BFloat16,
    };

    /// <summary>The types of the tensors: f32, f16 and bf16.</summary>
    public static IReadOnlyList<string> Types { get; } = [.. ByName.Keys];

    /// <summary>Writes an adapter as a file for ONNX Runtime.</summary>
    /// <param name="adapter">The adapter: plain low-rank pairs.</param>
    /// <param name="folder">Its folder, for messages.</param>
    /// <param name="target">The file to write.</param>
    /// <param name="type">One of <see cref="Types"/>.</param>
    /// <exception cref="InputException">The adapter has parts that no input of a graph takes; the message lists all of
    /// them.</exception>
    /// <exception cref="NonFiniteException">A tensor is not finite in the type.</exception>
    public static void FromPeft(LoraFolder adapter, string folder, string target, string type = "f32")
    {
        Check(adapter, folder);
        ScalarType written = ByName[type];
        OnnxAdapterFile.Write(target,
            [.. adapter.Modules.SelectMany(module => new[]
            {
                Source(module.Path + ".lora_A.weight", module.A, 1, written),
                Source(module.Path + ".lora_B.weight", module.B, module.Scale, written),
            })]);
    }

    private static OnnxWeight Source(string name, Tensor stored, double scale, ScalarType type) =>
        new(name, type, [stored.shape[1], stored.shape[0]], () =>
        {
            Tensor scaled = (scale == 1 ? stored : stored * Number(scale)).t().to(type);
            return FiniteOutput.Holds(scaled) ? scaled : throw new NonFiniteException(
                $"{name} has a value that is not finite as {type}. Write it as bf16 or f32.");
        });

    private static void Check(LoraFolder adapter, string folder)
    {
        List<string> problems =
        [
            // PEFT saves the base's weight beside the pair of an embedding or a head; the graph has it.
            .. adapter.Others.Keys.Where(key => PeftTensorKeys.Parse(key)?.Part != AdapterTensorPart.AdaptedWeight)
                .Take(10).Select(key => $"{key}: the graphs that take adapters have inputs for pairs alone"),
            .. adapter.Modules.Where(module => module.IsEmbedding).Select(module =>
                $"{module.Path}: the graphs that take adapters have inputs for the pairs of linear layers alone"),
        ];
        if (adapter.Modules.Count == 0) problems.Add("it has no pairs");
        if (adapter.Vocabulary is not null) problems.Add("its own tokenizer: no graph has the tokens that it adds");
        if (adapter.Base?.BaseDtype is { } needed)
            problems.Add(
                $"{AdapterBase.FileName}: the pairs are right beside a base in {needed} alone, as it is quantised " +
                "here");
        if (problems.Count > 0)
            throw new InputException(Words.Of(
                $"{folder} cannot be expressed as an adapter of ONNX Runtime. Merge it into its base" +
                $"{KnownSettings.Merge.Aside}, or train an adapter without these parts:"), problems);
    }
}
