using LowRank.Models;
using LowRank.Models.Layers;

namespace LowRank.Adapters;

/// <summary>A model's modules as target matching sees them.</summary>
public static class AdaptableModules
{
    /// <summary>Every linear layer, the token embedding, the output head, and after them the modules that LoRA does not
    /// adapt (norms, position embeddings), whose biases may be trained.</summary>
    public static IReadOnlyList<ModuleInfo> Of(INetwork model)
    {
        List<ModuleInfo> adaptable =
        [
            new ModuleInfo(model.TokenEmbedding.Path, ModuleKind.Embedding, model.TokenEmbedding.Weight.shape[0], model.TokenEmbedding.Weight.shape[1], IsInputEmbedding: true),
            .. model.Projections.Select(projection => Describe(projection, isHead: false)),
            .. model.OutputHead is { } head ? new[] { Describe(head, isHead: true) with { IsTied = model.TiesHead } } : [],
        ];
        HashSet<string> known = [.. adaptable.Select(module => module.Path)];
        IEnumerable<ModuleInfo> others = model.Parameters.Keys.Select(Module).Distinct().Where(path => !known.Contains(path))
            .Select(path => new ModuleInfo(path, ModuleKind.Other,
                OutputSize: model.Parameters.TryGetValue(path + ".bias", out TorchSharp.torch.Tensor? bias) ? bias.shape[0] : 0,
                HasBias: model.Parameters.ContainsKey(path + ".bias")));
        return [.. adaptable.Concat(others).Select(module => module with { Path = model.ModulePath(module.Path) })];
    }

    private static string Module(string parameter) => parameter[..parameter.LastIndexOf('.')];

    private static ModuleInfo Describe(Projection projection, bool isHead) => new(
        projection.Path, projection.StoresTransposed ? ModuleKind.Conv1D : ModuleKind.Linear,
        projection.InputSize, projection.OutputSize, projection.Bias is not null, IsOutputHead: isHead);
}
