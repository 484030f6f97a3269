using LowRank.Adapters;
using LowRank.Adapters.Methods;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>An adapter, trained; written as a PEFT folder.</summary>
public sealed class TrainedAdapter : ITrainedWeights
{
    private readonly Adapter adapter;

    /// <summary>Lets the adapter's weights require gradients, and puts them into one piece of memory.</summary>
    /// <param name="adapter">Attached to its model.</param>
    /// <param name="rules">What its method does in training besides; null for the plain step.</param>
    public TrainedAdapter(Adapter adapter, ITrainingRules? rules = null)
    {
        this.adapter = adapter;
        Rules = rules ?? PlainRules.Instance;
        adapter.SetTrainable(true);
        foreach ((string key, Tensor weight) in adapter.TrainedWeights) weight.requires_grad = Rules.Trains(key);
        Weights = [.. adapter.TrainedWeights.Where(weight => Rules.Trains(weight.Key))];
        FlatTensor.Adopt([.. Weights.Select(weight => weight.Value)]).Dispose(); // the weights themselves keep the memory
    }

    /// <inheritdoc/>
    public ITrainingRules Rules { get; }

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights { get; }

    /// <inheritdoc/>
    public PretrainedModel? Model => adapter.Model;

    /// <inheritdoc/>
    public string FolderName => "adapter";

    /// <inheritdoc/>
    public void Save(string folder) => adapter.Save(folder);
}
