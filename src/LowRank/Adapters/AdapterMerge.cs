using LowRank.Models;
using LowRank.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>Writes a model with an adapter merged into it, as a Hugging Face folder.</summary>
public static class AdapterMerge
{
    /// <summary>W + s·B·A for each target, computed in float32 and stored in W's own dtype; everything else is copied as it is.</summary>
    /// <param name="model">The base, opened from a folder.</param>
    /// <param name="adapter">The adapter, attached or not; not merged.</param>
    /// <param name="target">The folder to make; it appears whole or not at all.</param>
    /// <exception cref="InputException">A merged weight is not finite, the head is tied, or the target is the model itself.</exception>
    public static void Write(PretrainedModel model, LoraAdapter adapter, string target)
    {
        if (adapter.IsMerged) throw new InvalidOperationException("The adapter is merged in memory; unmerge it before writing.");
        adapter.RefuseTiedHead();
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        using Checkpoint checkpoint = Checkpoint.Open(model.Folder);
        INetwork network = model.Network;
        Dictionary<string, string> modules = adapter.Layers.Keys.ToDictionary(path => network.StoredName(adapter.Projections[path].Path + ".weight"));
        Dictionary<string, Tensor> replaced = adapter.Replaced.ToDictionary(weight => network.StoredName(weight.Name),
            weight => adapter.IsAttached ? weight.Parameter : weight.Value);
        // A head that the checkpoint lacks stands beside its weights afterwards.
        foreach (string drawn in network.CreatedWeights)
            replaced.TryAdd(network.StoredName(drawn), network.Parameters[drawn]);
        var weights = new List<KeyValuePair<string, Tensor>>();
        foreach (string name in checkpoint.Entries.Keys)
        {
            Tensor stored = checkpoint.Map(name);
            if (modules.TryGetValue(name, out string? path)) stored = Merge(stored, adapter, path, name);
            else if (replaced.Remove(name, out Tensor? whole)) stored = whole.detach().cpu().to(stored.dtype);
            weights.Add(KeyValuePair.Create(name, stored));
        }
        ScalarType type = weights[0].Value.dtype;
        weights.AddRange(replaced.Select(weight => KeyValuePair.Create(weight.Key, weight.Value.detach().cpu().to(type))));
        ModelFolder.Write(model.Folder, target, weights, config => TaskConfig.Describe(config, network, adapter.Task), folder => adapter.Task?.Save(folder));
    }

    private static Tensor Merge(Tensor stored, LoraAdapter adapter, string path, string name)
    {
        using var scope = NewDisposeScope();
        Tensor delta = adapter.Layers[path].Delta().cpu();
        if (adapter.Projections[path].StoresTransposed) delta = delta.t();
        Tensor merged = stored.to(ScalarType.Float32).add(delta).to(stored.dtype);
        if (!merged.isfinite().all().item<bool>())
            throw new InputException($"{name}: the merged weight is not finite in {stored.dtype}. Check the adapter with 'lowrank inspect', " +
                "or convert the base to float32 or bfloat16 before merging.");
        return merged.MoveToOuterDisposeScope();
    }
}
