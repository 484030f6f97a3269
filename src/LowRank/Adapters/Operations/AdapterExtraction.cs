using LowRank.Adapters.Files;
using LowRank.IO;
using LowRank.Models;
using LowRank.Quantization;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Operations;

/// <summary>Creates an adapter from a fully tuned model: in each layer, the closest pair of a given rank to the change
/// from tuning.</summary>
public static class AdapterExtraction
{
    /// <summary>Extracts an adapter, one layer at a time; unchanged layers are not targets.</summary>
    /// <param name="baseFolder">The base, a Hugging Face folder.</param>
    /// <param name="tunedFolder">The tuned model, with the same weight names and shapes.</param>
    /// <param name="rank">The rank of the pairs.</param>
    /// <param name="targets">The layers, as in <c>target_modules</c>; null for every linear layer except the output
    /// head.</param>
    /// <param name="saveOthers">Whether changed weights that are not targets are saved whole
    /// (<c>modules_to_save</c>).</param>
    /// <exception cref="NonFiniteException">A weight of either model is not finite.</exception>
    /// <exception cref="InputException">The two models do not match, nothing changed, or the targets are
    /// invalid.</exception>
    public static ExtractedAdapter Extract(
        string baseFolder, string tunedFolder, int rank, ModuleSelection? targets = null, bool saveOthers = false)
    {
        if (rank < 1) throw new InputException($"rank: found {rank}, expected at least 1.");
        using var noGradient = no_grad();
        using PretrainedModel model = PretrainedModel.Open(baseFolder);
        using Checkpoint before = Checkpoint.Open(baseFolder), after = Checkpoint.Open(tunedFolder);
        foreach (Checkpoint checkpoint in new[] { before, after })
            if (BitsAndBytesReader.Read(checkpoint).Count > 0)
                throw new InputException(
                    $"{checkpoint.Path} is quantised: what tuning changed would drown in its rounding. Give the " +
                    "folder in float32, float16 or bfloat16.");
        RequireSameTensors(before, after, baseFolder, tunedFolder);
        AdapterConfig config =
            TaskTypes.Fill(
                new LoraConfig { Rank = rank, Alpha = rank, BaseModel = baseFolder, TargetModules = targets
                ?? ModuleSelection.AllLinear }, model.Network);
        TargetMatch match =
            TargetMatcher.Match(config, ModuleInfo.From(model.Network), model.Config.ModelType, AdapterUse.Create);
        IReadOnlyDictionary<string, AdaptableLayer> layers = AdaptableLayer.From(model.Network);
        var stored = match.Targets.ToDictionary(
            target => model.Network.StoredName(layers[target.Path].Parameter), target => layers[target.Path]);
        var modules = new List<LoraModule>();
        var kept = new List<KeptEnergy>();
        var others = new List<string>();
        var whole = new Dictionary<string, Tensor>();
        foreach (string name in before.Entries.Keys.Where(after.Entries.ContainsKey))
        {
            using var scope = NewDisposeScope();
            Tensor change = Finite(after, name) - Finite(before, name);
            if (!FiniteOutput.Holds(change))
                throw new NonFiniteException($"{name}: the change from {before.Path} to {after.Path} leaves float32.");
            if (stored.TryGetValue(name, out AdaptableLayer? layer))
            {
                if (change.count_nonzero().item<long>() == 0) continue; // a pair of zeros would never learn
                (LoraModule module, KeptEnergy energy) =
                    Decompose(layer, layer.StoresTransposed ? change.t() : change, rank);
                modules.Add(
                    module with { A = module.A.MoveToOuterDisposeScope(), B = module.B.MoveToOuterDisposeScope() });
                kept.Add(energy);
            }
            else if (change.count_nonzero().item<long>() > 0)
            {
                others.Add(name);
                if (saveOthers) whole[name] = after.Map(name).to(ScalarType.Float32).MoveToOuterDisposeScope();
            }
        }
        if (kept.Count == 0)
            throw new InputException(
                $"{tunedFolder} has the same weights in the target layers as {baseFolder}: there is nothing to " +
                "extract.");
        AdapterConfig resolved = match.Resolved;
        if (modules.Count < match.Targets.Count)
        {
            config = config with { TargetModules = [.. modules.Select(module => module.Path)] };
            resolved = TargetMatcher.Match(
                config, ModuleInfo.From(model.Network), model.Config.ModelType, AdapterUse.Create).Resolved;
        }
        return new ExtractedAdapter(
            Folder((LoraConfig)resolved, modules, model.Network, whole) with
            {
                Base = new AdapterBase(null, model.Fingerprint),
            },
            kept, others) { Notes = model.Notes };
    }

    private static Tensor Finite(Checkpoint checkpoint, string name)
    {
        Tensor weight = checkpoint.Map(name).to(ScalarType.Float32);
        return FiniteOutput.Holds(weight) ? weight
            : throw new NonFiniteException(
                $"{checkpoint.Path}: {name} has numbers that are not finite (NaN or infinite). Fetch or convert " +
                "the model again, or take an earlier checkpoint of it.");
    }

    private static LoraFolder Folder(
        LoraConfig config, List<LoraModule> modules, INetwork network, Dictionary<string, Tensor> whole)
    {
        if (whole.Count == 0) return new LoraFolder(config, modules, whole);
        Dictionary<string, string> paths = network.Parameters.Keys.Where(
            name => whole.ContainsKey(network.StoredName(name))).ToDictionary(network.StoredName, network.ModulePath);
        string[] names =
            [.. paths.Values.Select(path => path[..path.LastIndexOf('.')]).Distinct().Order(StringComparer.Ordinal)];
        return new LoraFolder(
            config with { ModulesToSave = names }, modules,
            paths.ToDictionary(path => PeftTensorKeys.Prefix + path.Value, path => whole[path.Key]));
    }

    private static (LoraModule, KeptEnergy) Decompose(AdaptableLayer layer, Tensor change, int rank)
    {
        bool isEmbedding = layer.Kind == ModuleKind.Embedding;
        (Tensor u, Tensor values, Tensor vh) = linalg.svd(isEmbedding ? change.t() : change, fullMatrices: false);
        long count = Math.Min(rank, values.shape[0]);
        Tensor root = values.narrow(0, 0, count).sqrt();
        var module = new LoraModule(
            layer.Path, isEmbedding, root.unsqueeze(1) * vh.narrow(0, 0, count), u.narrow(1, 0, count) * root, 1);
        double whole = values.pow(Number(2)).sum().item<float>(),
            held = values.narrow(0, 0, count).pow(Number(2)).sum().item<float>();
        return (module, new KeptEnergy(layer.Path, (int)values.shape[0], (int)count, whole, held));
    }

    private static void RequireSameTensors(Checkpoint before, Checkpoint after, string baseFolder, string tunedFolder)
    {
        List<string> problems =
        [
            .. before.Entries.Where(
                entry => after.Entries.TryGetValue(entry.Key, out SafeTensorsEntry? other)
                && !other.Shape.SequenceEqual(entry.Value.Shape))
                .Select(entry =>
                $"{entry.Key}: [{string.Join(", ", entry.Value.Shape)}] and " +
                $"[{string.Join(", ", after.Entries[entry.Key].Shape)}]"),
            .. before.Entries.Keys.Where(name => !after.Entries.ContainsKey(name)).Take(20)
            .Select(name => $"{name}: only in the base"),
            .. after.Entries.Keys.Where(name => !before.Entries.ContainsKey(name)).Take(20)
            .Select(name => $"{name}: only in the tuned model"),
        ];
        if (problems.Count > 0)
            throw new InputException(
                $"{tunedFolder} was not tuned from {baseFolder}: their weights differ in name or shape.", problems);
    }
}

/// <summary>An adapter extracted from a tuned model.</summary>
/// <param name="Adapter">The adapter; its tensors are in the caller's dispose scope.</param>
/// <param name="Kept">How much of each layer's change it keeps.</param>
/// <param name="OtherChanges">Weights that tuning changed and no pair represents, by checkpoint name.</param>
public sealed record ExtractedAdapter(
    LoraFolder Adapter, IReadOnlyList<KeptEnergy> Kept, IReadOnlyList<string> OtherChanges)
{
    /// <summary>Notes for the user about the base's files, one sentence each.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}

/// <summary>How much of a change a smaller pair keeps.</summary>
/// <param name="Path">The module.</param>
/// <param name="RankBefore">The previous rank; for a full weight, its maximum rank.</param>
/// <param name="Rank">The new rank.</param>
/// <param name="Whole">Σσ² of the change.</param>
/// <param name="Held">Σσ² of the part that is kept.</param>
public sealed record KeptEnergy(string Path, int RankBefore, int Rank, double Whole, double Held)
{
    /// <summary>The fraction of Σσ² that is kept; 1 without a change.</summary>
    public double Fraction => Whole == 0 ? 1 : Held / Whole;
}
