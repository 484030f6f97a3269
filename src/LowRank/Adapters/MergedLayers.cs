using LowRank.Models;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>Puts an adapter's changes into the weights of a model in memory and takes them out again.</summary>
/// <remarks>A change that is a sum is subtracted again; of every other, the weight from before is kept.</remarks>
internal sealed class MergedLayers(INetwork network, IReadOnlyList<IAdapterPart> parts) : IDisposable
{
    private readonly List<(Tensor Weight, Tensor Before)> kept = [];

    private IEnumerable<AdaptedModule> Modules => parts.OfType<AdaptedModule>().Where(module => !module.Layer.Follows);

    /// <summary>Refuses what the model's weights cannot hold.</summary>
    public void Require()
    {
        if (parts.FirstOrDefault(part => part is not (AdaptedModule or TrainedParameter or IFrozenPart)) is not null)
            throw new InputException("The adapter puts a prompt before the text, which no weight can hold: it cannot be merged. Use it unmerged.");
        if (!network.TiesHead || Modules.FirstOrDefault(IsHalfOfTie) is not { } half) return;
        throw new InputException($"The adapter targets {half.Site.Path}, which shares its weight with {Other(half)}: " +
            "merging in memory would change that too. Use the adapter unmerged, or write a merged folder, which gives each a weight of its own.");
    }

    /// <summary>Whether a module changes one of an embedding and a head that share their weight.</summary>
    public static bool IsHalfOfTie(AdaptedModule module) => !module.Layer.CoversTie && (module.Site.IsTiedHead || module.Site.Kind == ModuleKind.Embedding);

    public void Apply()
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        foreach (AdaptedModule module in Modules)
        {
            module.Site.Projection?.BeginMerge();
            if (module.Layer.IsAdditive)
            {
                AddChange(module, 1);
                continue;
            }
            Keep(module.Site.Matrix);
            if (module.Site.Bias is { } before) Keep(before);
            (Tensor weight, Tensor? bias) = module.Layer.Merged(module.Site.Matrix, module.Site.Bias);
            module.Site.Matrix.copy_(weight);
            if (bias is not null && !ReferenceEquals(bias, module.Site.Bias)) module.Site.Bias!.copy_(bias);
        }
    }

    public void Revert()
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        foreach ((Tensor weight, Tensor before) in kept.AsEnumerable().Reverse()) weight.copy_(before);
        foreach (AdaptedModule module in Modules.Where(module => module.Layer.IsAdditive)) AddChange(module, -1);
        foreach (AdaptedModule module in Modules) module.Site.Projection?.EndMerge();
        Forget();
    }

    public void Dispose() => Forget();

    private string Other(AdaptedModule half) => network.ModulePath(half.Site.IsTiedHead ? network.TokenEmbedding.Path : network.OutputHead!.Path);

    private void Keep(Tensor weight) => kept.Add((weight.alias().DetachFromDisposeScope(), weight.clone().DetachFromDisposeScope()));

    // The change of a weight that is zero is the change itself, without the rounding of a sum.
    private static void AddChange(AdaptedModule module, double sign)
    {
        using var scope = NewDisposeScope();
        AdapterSite site = module.Site;
        (Tensor change, Tensor? bias) = module.Layer.Merged(zeros_like(site.Matrix), site.Bias is null ? null : zeros_like(site.Bias));
        site.Matrix.add_(change, sign);
        if (bias is not null) site.Bias!.add_(bias, sign);
    }

    private void Forget()
    {
        foreach ((Tensor weight, Tensor before) in kept)
        {
            weight.Dispose();
            before.Dispose();
        }
        kept.Clear();
    }
}
