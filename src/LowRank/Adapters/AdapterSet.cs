using LowRank.Models;
using LowRank.Models.Layers;

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
            if (AdapterMix.Refusal(adapters[name]) is { } reason)
                throw new InputException($"The adapter \"{name}\" {reason}. Use it for whole batches.");
        Detach();
        Dictionary<string, AdapterMix> mixes = names.OfType<string>().Distinct()
            .ToDictionary(name => name, name => new AdapterMix([(adapters[name], 1)]));
        SetRows(new AdapterRows
        {
            Segments = AdapterRows.Of(names.Select(name => name is null ? null : mixes[name])),
        });
        return new Ending(() =>
        {
            SetRows(null);
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

    private void SetRows(AdapterRows? rows)
    {
        foreach (AdaptableLayer layer in AdaptableLayer.From(model.Network).Values) layer.Slot.Rows = rows;
        hasRows = rows is not null;
    }

    private void Attach()
    {
        foreach ((string name, double weight) in active)
        {
            adapters[name].Weight = weight;
            adapters[name].Attach();
        }
    }

    private void Detach()
    {
        foreach (Adapter adapter in adapters.Values)
        {
            adapter.Detach();
            adapter.Weight = 1;
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
