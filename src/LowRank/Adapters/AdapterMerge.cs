using System.Text.Json.Nodes;
using LowRank.IO;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>Writes a model with adapters merged into it, as a Hugging Face folder.</summary>
public static class AdapterMerge
{
    /// <summary>Writes a model with one adapter merged into it.</summary>
    /// <inheritdoc cref="Write(PretrainedModel, IReadOnlyList{WeightedAdapter}, string, ScalarType?)"/>
    public static MergeReport Write(PretrainedModel model, Adapter adapter, string target) =>
        Write(model, [new WeightedAdapter(adapter)], target);

    /// <summary>Merges each adapter's changes into the adapted weights in turn, computed in float32 and stored in each
    /// weight's own dtype; everything else is copied unchanged.</summary>
    /// <remarks>If an adapter changes only one of an embedding and an output head that share their weight, each gets
    /// its own weight and the config is adjusted. Quantised weights of the base are expanded, changed and written in
    /// full: the merged model is not quantised.</remarks>
    /// <param name="model">The base, opened from a folder.</param>
    /// <param name="adapters">The adapters with their weights, attached or not; none may be merged in memory.</param>
    /// <param name="target">The folder to create; it appears complete or not at all.</param>
    /// <param name="dtype">The dtype for weights that the base stores quantised; null uses the dtype of the folder's
    /// other weights.</param>
    /// <returns>The errors from quantisation and rounding.</returns>
    /// <exception cref="NonFiniteException">A weight of the base or of the result is not finite.</exception>
    /// <exception cref="InputException">A weight cannot represent a change, two adapters replace the same weight, or
    /// the target is the model's own folder.</exception>
    public static MergeReport Write(
        PretrainedModel model, IReadOnlyList<WeightedAdapter> adapters, string target, ScalarType? dtype = null)
    {
        if (adapters.Any(given => given.Adapter.IsMerged))
            throw new InvalidOperationException("An adapter is merged in memory; unmerge it before writing.");
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        using Checkpoint checkpoint = Checkpoint.Open(model.Folder);
        INetwork network = model.Network;
        var changes = new MergedChanges(network, adapters);
        Dictionary<string, Tensor> replaced = changes.Replaced();
        // The result also contains a head that the checkpoint lacks.
        foreach (string drawn in network.CreatedWeights)
            replaced.TryAdd(network.StoredName(drawn), network.Parameters[drawn]);
        var weights = new List<KeyValuePair<string, Tensor>>();
        var quantized = new QuantizedBase(model, checkpoint, dtype);
        foreach (string name in quantized.Names.Where(name => !network.DuplicateWeights.Contains(name)))
        {
            if (quantized.Has(name))
            {
                weights.Add(KeyValuePair.Create(name, quantized.Merge(name, changes)));
                continue;
            }
            Tensor stored = WithAddedRows(name, checkpoint.Map(name), network);
            Tensor start = replaced.Remove(name, out Tensor? whole) ? whole.detach().cpu().to(stored.dtype) : stored;
            string written = name == changes.TiedName ? changes.TableName! : name;
            Tensor applied = changes.Apply(written, start);
            if (applied.is_floating_point() && !FiniteOutput.Holds(applied))
                throw new NonFiniteException(
                    $"{name} is not finite, " +
                    $"{(whole is null ? $"in {model.Folder}. Fetch or convert the model again"
                        : "in the adapter, which holds it whole. Use an earlier checkpoint of the adapter")}.");
            weights.Add(KeyValuePair.Create(written, applied));
            if (changes.UntiedHead is { } head && name == changes.TiedName)
                weights.Add(KeyValuePair.Create(head, changes.Apply(head, stored)));
        }
        ScalarType type = weights[0].Value.dtype;
        weights.AddRange(
            replaced.Select(
                weight => KeyValuePair.Create(
                    weight.Key, changes.Apply(weight.Key, weight.Value.detach().cpu().to(type)))));
        AddHeadBias(weights, changes, network);
        AdapterVocabulary? vocabulary = AdapterVocabulary.Common(adapters.Select(given => given.Adapter.Vocabulary));
        AdapterChatTemplates? templates =
            AdapterChatTemplates.Common(adapters.Select(given => given.Adapter.ChatTemplates));
        AdapterTask? task = adapters.Select(given => given.Adapter.Task).FirstOrDefault(given => given is not null);
        ModelFolder.Write(
            model.Folder, target, weights, config =>
            Describe(config, model, task, changes.UntiedHead is not null, quantized), folder =>
        {
            task?.Save(folder);
            AdapterData.Common(adapters.Select(given => given.Adapter.Data))?.Save(folder);
            vocabulary?.Save(folder);
            templates?.Save(folder);
        });
        return quantized.Report;
    }

    // Only the model in memory has rows of tokens that an adapter adds.
    private static Tensor WithAddedRows(string name, Tensor stored, INetwork network)
    {
        string? parameter = network.Parameters.Keys.FirstOrDefault(parameter => network.StoredName(parameter) == name);
        if (parameter is null || network.CreatedWeights.Contains(parameter)) return stored; // replaced whole
        if (network.Parameters[parameter] is not { } weight || weight.shape[0] == stored.shape[0]) return stored;
        return cat(
            [stored, weight.detach().narrow(0, stored.shape[0], weight.shape[0] - stored.shape[0]).cpu().to(
                stored.dtype)], 0);
    }

    // If the config no longer ties weights, a masked language model's head no longer reads the separate bias.
    private static void AddHeadBias(List<KeyValuePair<string, Tensor>> weights, MergedChanges changes, INetwork network)
    {
        if (changes.UntiedHead is null
            || AdaptableLayer.Of(network)[network.ModulePath(network.OutputHead!.Path)].BiasParameter is not { } bias)
            return;
        string stored = network.StoredName(bias), own = network.OutputHead.Path + ".bias";
        if (weights.TrueForAll(weight => weight.Key != own))
            weights.Add(KeyValuePair.Create(own, weights.Find(weight => weight.Key == stored).Value));
    }

    private static void Describe(
        JsonObject config, PretrainedModel model, AdapterTask? task, bool unties, QuantizedBase quantized)
    {
        TaskConfig.Describe(config, model.Network, task);
        quantized.Describe(config);
        if (model.Network.VocabularySize > model.StoredVocabulary) config["vocab_size"] = model.Network.VocabularySize;
        // T5's tying is determined by its files alone; it reads the key as whether to scale the states below the head.
        if (unties && model.Network is not EncoderDecoder) config["tie_word_embeddings"] = false;
    }
}

/// <summary>The errors of merging into a quantised base.</summary>
/// <param name="Format">The format of the base's linear layers, such as nf4; null if they are not quantised.</param>
/// <param name="WrittenAs">The dtype in which they were written, in torch's spelling.</param>
/// <param name="Rounding">The difference between the float32 sum and the written weights.</param>
/// <param name="Quantization">The difference between the quantised weights that the adapter was added to and those in
/// the base's folder; empty if the folder contains only quantised ones.</param>
public sealed record MergeReport(string? Format, string WrittenAs, MergeRounding Rounding, MergeRounding Quantization);

/// <summary>Differences between weights: the largest and the root mean square over all compared values.</summary>
public sealed class MergeRounding
{
    private double squares;

    /// <summary>The largest difference.</summary>
    public double Largest { get; private set; }

    /// <summary>The root mean square difference; 0 if nothing was compared.</summary>
    public double RootMeanSquare => Count == 0 ? 0 : Math.Sqrt(squares / Count);

    /// <summary>Number of values compared.</summary>
    public long Count { get; private set; }

    /// <summary>Compares two tensors of the same shape.</summary>
    public void Add(Tensor exact, Tensor stored)
    {
        using var scope = NewDisposeScope();
        Tensor difference = stored.to(ScalarType.Float32) - exact.to(ScalarType.Float32);
        Largest = Math.Max(Largest, difference.abs().max().item<float>());
        squares += difference.square().sum(ScalarType.Float64).item<double>();
        Count += difference.numel();
    }
}

/// <summary>Merges an adapter's changes into the weights of a model in memory and removes them again.</summary>
/// <remarks>A change that is a sum is subtracted again; for every other change the original weight is kept.</remarks>
internal sealed class MergedLayers(INetwork network, IReadOnlyList<IAdapterPart> parts) : IDisposable
{
    private readonly List<(Tensor Weight, Tensor Before)> kept = [];
    private readonly List<AdaptedLayer> begun = [], added = [];

    /// <summary>The names of the weights and biases that the changes are merged into.</summary>
    public IEnumerable<string> Names => Modules.Select(module => module.Site.Parameter)
        .Concat(Modules.Where(module => module.Layer.ChangesBias).Select(module => module.Site.BiasParameter)
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
        throw new InputException($"The adapter targets {half.Site.Path}, which shares its weight with {Other(half)}: " +
            "merging in memory would change that too. Use the adapter unmerged, or write a merged folder, which " +
                "gives each a weight of its own.");
    }

    /// <summary>Whether a module changes only one of an embedding and a head that share their weight.</summary>
    public static bool IsHalfOfTie(AdaptedLayer module) =>
        !module.Layer.CoversTie && (module.Site.IsTiedHead || module.Site.Kind == ModuleKind.Embedding);

    public void Apply()
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        foreach (AdaptedLayer module in Modules)
        {
            module.Site.Linear?.BeginMerge();
            begun.Add(module);
            if (module.Layer.IsAdditive)
            {
                AddChange(module, 1);
                added.Add(module);
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
        foreach (AdaptedLayer module in added) AddChange(module, -1);
        foreach (AdaptedLayer module in begun) module.Site.Linear?.EndMerge();
        Forget();
    }

    public void Dispose() => Forget();

    private string Other(AdaptedLayer half) =>
        network.ModulePath(half.Site.IsTiedHead ? network.TokenEmbedding.Path : network.OutputHead!.Path);

    private void Keep(Tensor weight) =>
        kept.Add((weight.alias().DetachFromDisposeScope(), weight.clone().DetachFromDisposeScope()));

    // The change of a zero weight is the change itself, without the rounding of a sum.
    private static void AddChange(AdaptedLayer module, double sign)
    {
        using var scope = NewDisposeScope();
        AdaptableLayer site = module.Site;
        (Tensor change, Tensor? bias) =
            module.Layer.Merged(zeros_like(site.Matrix), site.Bias is null ? null : zeros_like(site.Bias));
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
        begun.Clear();
        added.Clear();
    }
}
