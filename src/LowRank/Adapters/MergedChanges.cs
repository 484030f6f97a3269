using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>What several adapters make of each weight of a checkpoint.</summary>
internal sealed class MergedChanges
{
    private readonly INetwork network;
    private readonly IReadOnlyList<WeightedAdapter> adapters;
    private readonly ILookup<string, (AdaptedModule Module, double Weight, bool IsBias)> byName;

    public MergedChanges(INetwork network, IReadOnlyList<WeightedAdapter> adapters)
    {
        (this.network, this.adapters) = (network, adapters);
        foreach (WeightedAdapter given in adapters) RequireWeights(given.Adapter);
        List<(AdaptedModule Module, double Weight)> modules = [.. adapters.SelectMany(given => given.Adapter.Parts.OfType<AdaptedModule>()
            .Where(module => !module.Layer.Follows).Select(module => (module, given.Weight)))];
        RequireWholeOnce(modules);
        if (network.TiesHead && modules.Any(given => MergedLayers.IsHalfOfTie(given.Module))) Untie();
        byName = modules.SelectMany(Names).ToLookup(named => named.Name, named => (named.Module, named.Weight, named.IsBias));
    }

    /// <summary>The name of the head's own weight, where the model ties it and an adapter changes only one of the two; else null.</summary>
    public string? UntiedHead { get; private set; }

    /// <summary>The stored name of the weight that the embedding and the head share, where <see cref="UntiedHead"/> takes them apart.</summary>
    public string? TiedName { get; private set; }

    /// <summary>The name of the embedding's weight then.</summary>
    public string? TableName { get; private set; }

    /// <summary>Weights that adapters replace whole, by stored name.</summary>
    public Dictionary<string, Tensor> Replaced()
    {
        var replaced = new Dictionary<string, Tensor>();
        foreach (WeightedAdapter given in adapters)
        {
            foreach (TrainedParameter weight in given.Adapter.Replaced.DistinctBy(weight => weight.Name))
            {
                if (given.Weight != 1) throw new InputException($"{weight.Name}: the adapter replaces it whole, which has no share; merge with weight 1, found {given.Weight}.");
                if (!replaced.TryAdd(network.StoredName(weight.Name), given.Adapter.IsAttached ? weight.Parameter : weight.Value))
                    throw new InputException($"{weight.Name}: two of the adapters replace it whole; only one can. Merge them one at a time, or train one without it.");
            }
        }
        return replaced;
    }

    /// <summary>A stored weight with all changes, in its own dtype.</summary>
    public Tensor Apply(string name, Tensor stored)
    {
        if (!byName.Contains(name)) return stored;
        using var scope = NewDisposeScope();
        Tensor wide = stored.to(ScalarType.Float32).to(network.Device);
        foreach ((AdaptedModule module, double weight, bool isBias) in byName[name])
        {
            double before = module.Layer.Share;
            module.Layer.Share = before * weight;
            wide = isBias ? module.Layer.Merged(module.Site.Matrix, wide).Bias!
                : module.Site.StoresTransposed ? module.Layer.Merged(wide.t(), Zeros(module)).Weight.t()
                : module.Layer.Merged(wide, Zeros(module)).Weight;
            module.Layer.Share = before;
        }
        Tensor merged = wide.cpu().to(stored.dtype);
        if (!FiniteOutput.Holds(merged)) throw new NonFiniteException($"{name}: the merged weight is not finite in {stored.dtype}: {Cause(name, stored, wide)}.");
        return merged.MoveToOuterDisposeScope();
    }

    private string Cause(string name, Tensor stored, Tensor wide)
    {
        if (!FiniteOutput.Holds(stored)) return "the base's own weight is not. Fetch or convert the base again";
        string? tensor = byName[name].SelectMany(change => change.Module.Weights).FirstOrDefault(weight => !FiniteOutput.Holds(weight.Value)).Key;
        if (tensor is not null) return $"the adapter's tensor {tensor} is not. Use an earlier checkpoint of the adapter";
        return FiniteOutput.Holds(wide) ? $"{stored.dtype} holds no number so large. Convert the base to float32 or bfloat16 before merging" : "weight and change together leave float32. Check the adapter with 'lowrank inspect'";
    }

    private static Tensor? Zeros(AdaptedModule module) => module.Site.Bias is { } bias ? zeros(module.Site.OutputSize, device: bias.device) : null;

    private IEnumerable<(string Name, AdaptedModule Module, double Weight, bool IsBias)> Names((AdaptedModule Module, double Weight) given)
    {
        AdapterSite site = given.Module.Site;
        string stored = network.StoredName(site.Parameter);
        string name = UntiedHead is null || stored != TiedName ? stored : site.IsTiedHead ? UntiedHead : TableName!;
        yield return (name, given.Module, given.Weight, false);
        if (UntiedHead is { } untied && given.Module.Layer.CoversTie && name != untied) yield return (untied, given.Module, given.Weight, false);
        if (given.Module.Layer.ChangesBias && site.BiasParameter is { } bias) yield return (network.StoredName(bias), given.Module, given.Weight, true);
    }

    private void Untie()
    {
        string table = network.TokenEmbedding.Path + ".weight";
        UntiedHead = network.OutputHead!.Path + ".weight";
        TiedName = network.StoredName(table);
        TableName = TiedName == UntiedHead ? table : TiedName;
    }

    // A weight that is replaced whole has one value.
    private static void RequireWholeOnce(List<(AdaptedModule Module, double Weight)> modules)
    {
        foreach (IGrouping<string, double> whole in modules.Where(given => given.Module.Layer is WholeWeight).GroupBy(given => ((WholeWeight)given.Module.Layer).Name, given => given.Weight))
        {
            if (whole.Count() > 1) throw new InputException($"{whole.Key}: two of the adapters replace it whole; only one can. Merge them one at a time, or train one without it.");
            if (whole.Single() is not 1) throw new InputException($"{whole.Key}: the adapter replaces it whole, which has no share; merge with weight 1, found {whole.Single()}.");
        }
    }

    private static void RequireWeights(Adapter adapter)
    {
        if (adapter.Parts.Any(part => part is not (AdaptedModule or TrainedParameter or IFrozenPart)))
            throw new InputException("The adapter puts a prompt before the text, which no weight can hold: it cannot be merged. Use it unmerged.");
    }
}
