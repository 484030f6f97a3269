using LowRank.Models;
using LowRank.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>Merges an adapter's changes into the weights of a model in memory and removes them again.</summary>
/// <remarks>A change that is a sum is subtracted again; for every other change the original weight is kept.</remarks>
internal sealed class MergedLayers(INetwork network, IReadOnlyList<IAdapterPart> parts) : IDisposable
{
    private readonly List<(Tensor Weight, Tensor Before)> kept = [];
    private readonly List<AdaptedLayer> begun = [], added = [];

    /// <summary>The names of the weights and biases that the changes are merged into.</summary>
    public IEnumerable<string> Names => Modules.Select(module => module.Base.Parameter)
        .Concat(Modules.Where(module => module.Layer.ChangesBias).Select(module => module.Base.BiasParameter)
            .OfType<string>());

    private IEnumerable<AdaptedLayer> Modules => parts.OfType<AdaptedLayer>().Where(module => !module.Layer.Follows);

    /// <summary>Rejects changes that the model's weights cannot represent.</summary>
    public void Require()
    {
        if (parts.FirstOrDefault(part => part is not (AdaptedLayer or TrainedParameter or IFrozenPart)) is not null)
            throw new InputException(
                "The adapter puts a prompt before the text, which no weight can hold: it cannot be merged. Use it " +
                "unmerged.");
        if (!network.TiesHead || Modules.FirstOrDefault(IsHalfOfTie) is not { } half) return;
        throw new InputException($"The adapter targets {half.Base.Path}, which shares its weight with {Other(half)}: " +
            "merging in memory would change that too. Use the adapter unmerged, or write a merged folder, which " +
                "gives each a weight of its own.");
    }

    /// <summary>Whether a module changes only one of an embedding and a head that share their weight.</summary>
    public static bool IsHalfOfTie(AdaptedLayer module) =>
        !module.Layer.CoversTie && (module.Base.IsTiedHead || module.Base.Kind == ModuleKind.Embedding);

    public void Apply()
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        foreach (AdaptedLayer module in Modules)
        {
            Multiplying(module)?.BeginMerge();
            begun.Add(module);
            if (module.Layer.IsAdditive)
            {
                AddChange(module, 1);
                added.Add(module);
                continue;
            }
            Keep(module.Base.Matrix);
            if (module.Base.Bias is { } before) Keep(before);
            (Tensor weight, Tensor? bias) = module.Layer.Merged(module.Base.Matrix, module.Base.Bias);
            module.Base.Matrix.copy_(weight);
            if (bias is not null && !ReferenceEquals(bias, module.Base.Bias)) module.Base.Bias!.copy_(bias);
        }
    }

    public void Revert()
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        foreach ((Tensor weight, Tensor before) in kept.AsEnumerable().Reverse()) weight.copy_(before);
        foreach (AdaptedLayer module in added) AddChange(module, -1);
        foreach (AdaptedLayer module in begun) Multiplying(module)?.EndMerge();
        Forget();
    }

    public void Dispose() => Forget();

    // The layer that multiplies with the changed weight: a head multiplies with the table that it shares.
    private Linear? Multiplying(AdaptedLayer module) => module.Base.Linear
        ?? (network.TiesHead && module.Base.Table == network.TokenEmbedding ? network.OutputHead : null);

    private string Other(AdaptedLayer half) =>
        network.ModulePath(half.Base.IsTiedHead ? network.TokenEmbedding.Path : network.OutputHead!.Path);

    private void Keep(Tensor weight) =>
        kept.Add((weight.alias().DetachFromDisposeScope(), weight.clone().DetachFromDisposeScope()));

    // The change of a zero weight is the change itself, without the rounding of a sum.
    private static void AddChange(AdaptedLayer module, double sign)
    {
        using var scope = NewDisposeScope();
        AdaptableLayer layer = module.Base;
        (Tensor change, Tensor? bias) =
            module.Layer.Merged(zeros_like(layer.Matrix), layer.Bias is null ? null : zeros_like(layer.Bias));
        layer.Matrix.add_(change, Number(sign));
        if (bias is not null) layer.Bias!.add_(bias, Number(sign));
    }

    private void Forget()
    {
        foreach ((Tensor weight, Tensor before) in kept)
        {
            weight.Dispose();
            before.Dispose();
        }
        kept.Clear();
        begun.Clear();
        added.Clear();
    }
}
