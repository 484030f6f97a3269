using LowRank.Adapters.Methods;
using LowRank.Models;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>What a run trains and how it is written: an adapter, or every weight of the model.</summary>
public interface ITrainedWeights
{
    /// <summary>The trained weights by name, in a fixed order; each requires a gradient.</summary>
    IReadOnlyList<KeyValuePair<string, Tensor>> Weights { get; }

    /// <summary>The name of the folder inside the run's output: "adapter" or "model".</summary>
    string FolderName { get; }

    /// <summary>What the step does besides; the plain step unless a method says otherwise.</summary>
    ITrainingRules Rules => PlainRules.Instance;

    /// <summary>The model whose folder the run began with, which a checkpoint remembers by its fingerprint; null where it is not known.</summary>
    PretrainedModel? Model => null;

    /// <summary>Writes a folder that can be loaded again; it appears whole or not at all.</summary>
    void Save(string folder);
}
