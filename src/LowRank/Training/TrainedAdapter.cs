using LowRank.Adapters;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>A LoRA adapter, trained; written as a PEFT folder.</summary>
public sealed class TrainedAdapter : ITrainedWeights
{
    private readonly Adapter adapter;

    /// <summary>Lets the adapter's weights require gradients.</summary>
    /// <param name="adapter">Attached to its model.</param>
    public TrainedAdapter(Adapter adapter)
    {
        this.adapter = adapter;
        adapter.SetTrainable(true);
        Weights = adapter.TrainedWeights;
    }

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights { get; }

    /// <inheritdoc/>
    public string FolderName => "adapter";

    /// <inheritdoc/>
    public void Save(string folder) => adapter.Save(folder);
}
