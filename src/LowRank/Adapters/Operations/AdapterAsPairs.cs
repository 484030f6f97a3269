using LowRank.Adapters.Files;
using LowRank.Adapters.Inspection;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Operations;

/// <summary>Expresses an adapter of any kind as plain low-rank pairs: DoRA, VeRA, LoHa, LoKr, weights that are saved
/// whole. With the full rank of each change the pairs are exact; with a smaller rank they are the closest ones (Eckart
/// and Young, 1936).</summary>
public static class AdapterAsPairs
{
    // Singular values below this share of the largest come from the rounding of float32 alone.
    private const double Rounding = 1e-6;

    /// <summary>Makes the pairs, one layer at a time.</summary>
    /// <param name="folder">The adapter's folder.</param>
    /// <param name="model">The base's folder.</param>
    /// <param name="rank">The largest rank of a pair; null for as many as each change needs.</param>
    /// <returns>The pairs, whose tensors are in the caller's dispose scope, and how much of each change they
    /// keep.</returns>
    /// <exception cref="InputException">The adapter changes something that is no linear layer's or embedding's weight,
    /// such as a bias or a norm, or puts a prompt before the text.</exception>
    public static (LoraFolder Adapter, IReadOnlyList<KeptEnergy> Kept) Make(
        string folder, string model, int? rank = null)
    {
        if (rank < 1) throw new InputException($"rank: found {rank}, expected at least 1.");
        using var noGradient = no_grad();
        using PretrainedModel opened =
            PretrainedModel.Open(model, vocabulary: AdapterVocabulary.RowsFor(folder));
        using Adapter adapter = Adapter.Load(folder, opened);
        var changes = new Changes(folder, opened, adapter);
        var modules = new List<LoraModule>();
        var kept = new List<KeptEnergy>();
        foreach (AdaptableLayer layer in AdaptableLayer.All(opened.Network))
        {
            using var scope = NewDisposeScope();
            if (changes.Of(layer) is not { } change || change.count_nonzero().item<long>() == 0) continue;
            (LoraModule module, KeptEnergy energy) = Decompose(layer, change, rank);
            modules.Add(
                module with { A = module.A.MoveToOuterDisposeScope(), B = module.B.MoveToOuterDisposeScope() });
            kept.Add(energy);
        }
        if (modules.Count == 0)
            throw new InputException($"{folder} changes no weight of {model}: there is nothing to express.");
        LoraConfig config = new()
        {
            BaseModel = adapter.Config.BaseModel, TaskType = adapter.Config.TaskType,
            TargetModules = [.. modules.Select(module => module.Path)],
        };
        return (new LoraFolder(config, [.. modules.OrderBy(module => module.Path, ModulePathOrder.Instance)],
            new Dictionary<string, Tensor>())
        {
            Task = adapter.Task, Data = adapter.Data, Base = adapter.Base, ChatTemplates = adapter.ChatTemplates,
            Vocabulary = adapter.Vocabulary,
        }, kept);
    }

    private static (LoraModule, KeptEnergy) Decompose(AdaptableLayer layer, Tensor change, int? rank)
    {
        bool isEmbedding = layer.Kind == ModuleKind.Embedding;
        Tensor wide = (isEmbedding ? change.t() : change).to(ScalarType.Float64);
        (Tensor u, Tensor values, Tensor vh) = linalg.svd(wide, fullMatrices: false);
        double[] numbers = [.. values.data<double>()];
        int needed = Math.Max(1, numbers.Count(value => value > Rounding * numbers[0]));
        int count = Math.Min(needed, rank ?? needed);
        Tensor root = values.narrow(0, 0, count).sqrt();
        var module = new LoraModule(
            layer.Path, isEmbedding, (root.unsqueeze(1) * vh.narrow(0, 0, count)).to(ScalarType.Float32).contiguous(),
            (u.narrow(1, 0, count) * root).to(ScalarType.Float32).contiguous(), 1);
        double whole = numbers.Sum(value => value * value),
            held = count == needed ? whole : numbers.Take(count).Sum(value => value * value);
        return (module, new KeptEnergy(layer.Path, needed, count, whole, held));
    }

    /// <summary>The sum of an adapter's changes to each layer's weight, [out, in].</summary>
    private sealed class Changes
    {
        private readonly Adapter adapter;
        private readonly Dictionary<string, TrainedParameter> replaced;

        public Changes(string folder, PretrainedModel model, Adapter adapter)
        {
            this.adapter = adapter;
            replaced = adapter.Replaced.DistinctBy(weight => weight.Name).ToDictionary(weight => weight.Name);
            HashSet<string> weights = [.. AdaptableLayer.All(model.Network).Select(layer => layer.Parameter)];
            List<string> problems =
            [
                .. replaced.Keys.Where(name => !weights.Contains(name))
                    .Select(name => $"{name} is replaced whole, and is no linear layer's or embedding's weight"),
                .. adapter.Parts.Where(part => part is not (AdaptedLayer or TrainedParameter or IFrozenPart))
                    .Select(_ => "it puts a prompt before the text"),
                .. adapter.Parts.OfType<AdaptedLayer>()
                    .Where(part => part.Layer.ChangesBias && part.Base.Bias is not null)
                    .Select(part => $"{part.Base.Path}: a bias is changed"),
                .. adapter.Vocabulary is null ? [] : (string[])["it adds tokens to the vocabulary"],
            ];
            if (problems.Count > 0)
                throw new InputException(Words.Of(
                    $"{folder} cannot be expressed as low-rank pairs. Merge it into its base" +
                    $"{KnownSettings.Merge.Aside}:"), [.. problems.Distinct().Take(20)]);
        }

        public Tensor? Of(AdaptableLayer layer)
        {
            // A tied head is changed by its own parts alone; a whole table is the embedding's.
            IEnumerable<AdaptedLayer> own = adapter.Parts.OfType<AdaptedLayer>()
                .Where(part => part.Base.Path == layer.Path);
            Tensor before = layer.Matrix.to(ScalarType.Float32), after = before;
            bool isReplaced = !layer.IsTiedHead && replaced.ContainsKey(layer.Parameter);
            if (isReplaced)
            {
                Tensor value = replaced[layer.Parameter].Value;
                after = layer.StoresTransposed ? value.t() : value;
            }
            foreach (AdaptedLayer part in own)
                after = part.Layer.Merged(after, layer.Bias).Weight;
            return ReferenceEquals(after, before) ? null : after - before;
        }
    }
}
