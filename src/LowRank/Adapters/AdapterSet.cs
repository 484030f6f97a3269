using LowRank.Models;
using LowRank.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>Several adapters on one base, by name. Use any one of them, several with weights, or a different one per
/// batch row.</summary>
/// <remarks>Owns its adapters, not the model. Trained weights are never changed. Belongs to the model's
/// thread.</remarks>
/// <param name="model">The base.</param>
public sealed class AdapterSet(PretrainedModel model) : IDisposable
{
    private readonly Dictionary<string, Adapter> adapters = [];
    private List<(string Name, double Weight)> active = [];
    private bool isDisabled;
    private bool hasRows;

    /// <summary>The base.</summary>
    public PretrainedModel Model => model;

    /// <summary>The names, in the order in which they were added.</summary>
    public IReadOnlyList<string> Names => [.. adapters.Keys];

    /// <summary>The active adapters with their weights, lowest first; empty if only the base is used.</summary>
    public IReadOnlyList<(string Name, double Weight)> Active => active;

    /// <summary>An adapter by name.</summary>
    /// <exception cref="InputException">There is no adapter with that name.</exception>
    public Adapter this[string name] => adapters.TryGetValue(name, out Adapter? adapter) ? adapter
        : throw Unknown(name);

    /// <summary>Reads a PEFT folder; the adapter is not active yet.</summary>
    /// <exception cref="InputException">The name is taken, or the folder cannot be used with this base.</exception>
    public Adapter Load(string name, string folder)
    {
        RequireFree(name);
        return Add(name, Adapter.Load(folder, model));
    }

    /// <summary>Adds an adapter of this model and takes ownership; it is not active yet.</summary>
    /// <exception cref="InputException">The name is taken, or the adapter is in use already.</exception>
    public Adapter Add(string name, Adapter adapter)
    {
        RequireFree(name);
        if (adapter.IsAttached || adapter.IsMerged)
            throw new InputException(
                $"The adapter \"{name}\" is attached or merged already; detach it before adding it.");
        adapters.Add(name, adapter);
        return adapter;
    }

    /// <summary>Activates the named adapters, each with weight 1; no name selects the base alone.</summary>
    /// <exception cref="InputException">A name is unknown, or two of them replace the same weights.</exception>
    public void Activate(params string[] names) => Activate([.. names.Select(name => (name, 1.0))]);

    /// <summary>Activates the named adapters with weights that scale their changes. They nest in the given
    /// order.</summary>
    /// <exception cref="InputException">A name is unknown or repeated, a weight is not finite, or adapters cannot be
    /// used together; nothing has changed.</exception>
    public void Activate(IReadOnlyList<(string Name, double Weight)> chosen)
    {
        if (chosen.FirstOrDefault(pair => !adapters.ContainsKey(pair.Name)).Name is { } unknown) throw Unknown(unknown);
        if (chosen.GroupBy(pair => pair.Name).FirstOrDefault(group => group.Count() > 1)?.Key is { } twice)
            throw new InputException(
                $"The adapter \"{twice}\" is named twice; give it once, with the sum of the weights.");
        if (chosen.FirstOrDefault(pair => !double.IsFinite(pair.Weight)).Name is { } bad)
            throw new InputException($"The weight of the adapter \"{bad}\" is not finite.");
        RefuseRows();
        List<(string Name, double Weight)> before = active;
        Detach();
        try
        {
            active = [.. chosen];
            if (!isDisabled) Attach();
        }
        catch
        {
            Detach();
            active = before;
            if (!isDisabled) Attach();
            throw;
        }
    }

    /// <summary>Uses only the base until the result is disposed of; then the active adapters are used again.</summary>
    public IDisposable Disable()
    {
        RefuseRows();
        if (isDisabled) throw new InvalidOperationException("The adapters are disabled already.");
        Detach();
        isDisabled = true;
        return new Ending(() =>
        {
            isDisabled = false;
            Attach();
        });
    }

    /// <summary>Gives each row of the next batches its own adapter, or none, until the result is disposed of.</summary>
    /// <param name="names">For each row the name of an adapter; null for the base alone.</param>
    /// <exception cref="InputException">A name is unknown, or an adapter has parts that cannot differ by row: replaced
    /// weights or a prompt.</exception>
    public IDisposable UseRows(IReadOnlyList<string?> names)
    {
        RefuseRows();
        if (isDisabled) throw new InvalidOperationException("The adapters are disabled.");
        if (names.FirstOrDefault(name => name is not null && !adapters.ContainsKey(name)) is { } unknown)
            throw Unknown(unknown);
        foreach (string name in names.OfType<string>().Distinct())
            if (adapters[name].Parts.FirstOrDefault(part => part is not (AdaptedLayer or IFrozenPart)) is { } whole)
                throw new InputException(
                    $"The adapter \"{name}\" " +
                    $"{(whole is TrainedParameter weight ? $"replaces {weight.Name} whole"
                        : "puts a prompt before the text")}, " +
                    "which cannot differ between the rows of a batch. Use it for whole batches.");
        Detach();
        Assign(names);
        hasRows = true;
        return new Ending(() =>
        {
            foreach (AdaptableLayer site in AdaptableLayer.Of(model.Network).Values) site.Slot.AssignRows(null);
            hasRows = false;
            Attach();
        });
    }

    /// <summary>Renames an adapter.</summary>
    /// <exception cref="InputException">There is no adapter with the old name, or the new name is taken.</exception>
    public void Rename(string from, string to)
    {
        Adapter adapter = this[from];
        RequireFree(to);
        List<KeyValuePair<string, Adapter>> order = [.. adapters];
        adapters.Clear();
        foreach ((string name, Adapter kept) in order) adapters.Add(ReferenceEquals(kept, adapter) ? to : name, kept);
        active = [.. active.Select(pair => pair.Name == from ? (to, pair.Weight) : pair)];
    }

    /// <summary>Removes an adapter after deactivating it.</summary>
    /// <exception cref="InputException">There is no adapter with that name.</exception>
    public void Remove(string name)
    {
        Adapter adapter = this[name];
        RefuseRows();
        Activate([.. active.Where(pair => pair.Name != name)]);
        adapters.Remove(name);
        adapter.Dispose();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Adapter adapter in adapters.Values) adapter.Dispose();
        adapters.Clear();
        active = [];
    }

    private void Assign(IReadOnlyList<string?> names)
    {
        foreach (AdaptableLayer site in AdaptableLayer.Of(model.Network).Values)
        {
            // Rows with the same adapter share one list: they are computed together.
            Dictionary<string, ISlotAdapter[]> byName = names.OfType<string>().Distinct().ToDictionary(name => name,
                name => adapters[name].Parts.OfType<AdaptedLayer>().Where(module => module.Site.Path == site.Path)
                    .Select(ISlotAdapter (module) => module.Layer).ToArray());
            ISlotAdapter[] none = [];
            site.Slot.AssignRows([.. names.Select(name => name is null ? none : byName[name])]);
        }
    }

    private void Attach()
    {
        foreach ((string name, double weight) in active)
        {
            adapters[name].Share = weight;
            adapters[name].Attach();
        }
    }

    private void Detach()
    {
        foreach (Adapter adapter in adapters.Values)
        {
            adapter.Detach();
            adapter.Share = 1;
        }
    }

    private void RequireFree(string name)
    {
        if (name.Length == 0) throw new InputException("An adapter needs a name.");
        if (adapters.ContainsKey(name))
            throw new InputException($"There is an adapter \"{name}\" already. Remove or rename it first.");
    }

    private void RefuseRows()
    {
        if (hasRows) throw new InvalidOperationException("Adapters are assigned by row; end that first.");
    }

    private InputException Unknown(string name) =>
        new($"There is no adapter \"{name}\"; there " +
            $"{(adapters.Count == 0 ? "are none" : $"are {string.Join(", ", adapters.Keys
                .Select(known => $"\"{known}\""))}")}.");

    private sealed class Ending(Action end) : IDisposable
    {
        private Action? pending = end;

        public void Dispose()
        {
            pending?.Invoke();
            pending = null;
        }
    }
}

/// <summary>An adapter and the factor of its changes.</summary>
/// <param name="Adapter">The adapter.</param>
/// <param name="Weight">The factor; 1 is the adapter as trained.</param>
public sealed record WeightedAdapter(Adapter Adapter, double Weight = 1);

/// <summary>The purpose of a config, which decides what is an error and what is only a warning.</summary>
public enum AdapterUse
{
    /// <summary>A new adapter: every requested setting must have an effect.</summary>
    Create,

    /// <summary>An existing adapter: its tensors determine what it adapts, so a name that matches nothing (which PEFT
    /// ignores) is a warning, and its initialisation no longer matters if the base was unchanged.</summary>
    Load,
}

/// <summary>The combined effect of several adapters on each weight of a checkpoint.</summary>
internal sealed class MergedChanges
{
    private readonly INetwork network;
    private readonly IReadOnlyList<WeightedAdapter> adapters;
    private readonly ILookup<string, (AdaptedLayer Module, double Weight, bool IsBias)> byName;

    public MergedChanges(INetwork network, IReadOnlyList<WeightedAdapter> adapters)
    {
        (this.network, this.adapters) = (network, adapters);
        foreach (WeightedAdapter given in adapters) RequireWeights(given.Adapter);
        List<(AdaptedLayer Module, double Weight)> modules =
            [.. adapters.SelectMany(given => given.Adapter.Parts.OfType<AdaptedLayer>()
            .Where(module => !module.Layer.Follows).Select(module => (module, given.Weight)))];
        RequireWholeOnce(modules);
        if (network.TiesHead && modules.Any(given => MergedLayers.IsHalfOfTie(given.Module))) Untie();
        byName = modules.SelectMany(Names)
            .ToLookup(named => named.Name, named => (named.Module, named.Weight, named.IsBias));
    }

    /// <summary>The name of the head's own weight if the model ties it and an adapter changes only one of the two;
    /// otherwise null.</summary>
    public string? UntiedHead { get; private set; }

    /// <summary>The stored name of the weight that the embedding and the head share, if <see cref="UntiedHead"/>
    /// separates them.</summary>
    public string? TiedName { get; private set; }

    /// <summary>The name of the embedding's weight in that case.</summary>
    public string? TableName { get; private set; }

    /// <summary>Weights that adapters replace whole, by stored name.</summary>
    public Dictionary<string, Tensor> Replaced()
    {
        var replaced = new Dictionary<string, Tensor>();
        foreach (WeightedAdapter given in adapters)
        {
            foreach (TrainedParameter weight in given.Adapter.Replaced.DistinctBy(weight => weight.Name))
            {
                if (given.Weight != 1)
                    throw new InputException(
                        $"{weight.Name}: the adapter replaces it whole, which has no share; merge with weight 1, " +
                        $"found {given.Weight}.");
                if (!replaced.TryAdd(network.StoredName(weight.Name), given.Adapter.IsAttached ? weight.Parameter
                    : weight.Value))
                    throw new InputException(
                        $"{weight.Name}: two of the adapters replace it whole; only one can. Merge them one at a " +
                        "time, or train one without it.");
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
        foreach ((AdaptedLayer module, double weight, bool isBias) in byName[name])
        {
            double before = module.Layer.Share;
            module.Layer.Share = before * weight;
            wide = isBias ? module.Layer.Merged(module.Site.Matrix, wide).Bias!
                : module.Site.StoresTransposed ? module.Layer.Merged(wide.t(), Zeros(module)).Weight.t()
                : module.Layer.Merged(wide, Zeros(module)).Weight;
            module.Layer.Share = before;
        }
        Tensor merged = wide.cpu().to(stored.dtype);
        if (!FiniteOutput.Holds(merged))
            throw new NonFiniteException(
                $"{name}: the merged weight is not finite in {stored.dtype}: {Cause(name, stored, wide)}.");
        return merged.MoveToOuterDisposeScope();
    }

    private string Cause(string name, Tensor stored, Tensor wide)
    {
        if (!FiniteOutput.Holds(stored)) return "the base's own weight is not. Fetch or convert the base again";
        string? tensor = byName[name].SelectMany(change => change.Module.Weights)
            .FirstOrDefault(weight => !FiniteOutput.Holds(weight.Value)).Key;
        if (tensor is not null)
            return $"the adapter's tensor {tensor} is not. Use an earlier checkpoint of the adapter";
        return FiniteOutput.Holds(wide)
            ? $"{stored.dtype} holds no number so large. Convert the base to float32 or bfloat16 before merging"
            : "weight and change together leave float32. Check the adapter with 'lowrank inspect'";
    }

    private static Tensor? Zeros(AdaptedLayer module) => module.Site.Bias is { } bias
        ? zeros(module.Site.OutputSize, device: bias.device) : null;

    private IEnumerable<(string Name, AdaptedLayer Module, double Weight, bool IsBias)> Names(
        (AdaptedLayer Module, double Weight) given)
    {
        AdaptableLayer site = given.Module.Site;
        string stored = network.StoredName(site.Parameter);
        string name = UntiedHead is null || stored != TiedName ? stored : site.IsTiedHead ? UntiedHead : TableName!;
        yield return (name, given.Module, given.Weight, false);
        if (UntiedHead is { } untied && given.Module.Layer.CoversTie && name != untied)
            yield return (untied, given.Module, given.Weight, false);
        if (given.Module.Layer.ChangesBias && site.BiasParameter is { } bias)
            yield return (network.StoredName(bias), given.Module, given.Weight, true);
    }

    private void Untie()
    {
        string table = network.TokenEmbedding.Path + ".weight";
        UntiedHead = network.OutputHead!.Path + ".weight";
        TiedName = network.StoredName(table);
        TableName = TiedName == UntiedHead ? table : TiedName;
    }

    // Only one adapter can replace a weight.
    private static void RequireWholeOnce(List<(AdaptedLayer Module, double Weight)> modules)
    {
        foreach (IGrouping<string, double> whole in modules.Where(given => given.Module.Layer is WholeWeight)
            .GroupBy(given => ((WholeWeight)given.Module.Layer).Name, given => given.Weight))
        {
            if (whole.Count() > 1)
                throw new InputException(
                    $"{whole.Key}: two of the adapters replace it whole; only one can. Merge them one at a time, " +
                    "or train one without it.");
            if (whole.Single() is not 1)
                throw new InputException(
                    $"{whole.Key}: the adapter replaces it whole, which has no share; merge with weight 1, found " +
                    $"{whole.Single()}.");
        }
    }

    private static void RequireWeights(Adapter adapter)
    {
        if (adapter.Parts.Any(part => part is not (AdaptedLayer or TrainedParameter or IFrozenPart)))
            throw new InputException(
                "The adapter puts a prompt before the text, which no weight can hold: it cannot be merged. Use it " +
                "unmerged.");
    }
}
