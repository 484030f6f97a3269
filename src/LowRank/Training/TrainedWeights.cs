using LowRank.Adapters;
using LowRank.Adapters.Methods;
using LowRank.Models;
using TorchSharp;
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
    ITrainingHooks Rules => NoTrainingHooks.Instance;

    /// <summary>The model whose folder the run began with, which a checkpoint remembers by its fingerprint; null where
    /// it is not known.</summary>
    PretrainedModel? Model => null;

    /// <summary>Writes a folder that can be loaded again; it appears whole or not at all.</summary>
    void Save(string folder);
}

/// <summary>An adapter, trained; written as a PEFT folder.</summary>
public sealed class TrainedAdapter : ITrainedWeights
{
    private readonly Adapter adapter;

    /// <summary>Lets the adapter's weights require gradients, and puts them into one piece of memory.</summary>
    /// <param name="adapter">Attached to its model.</param>
    /// <param name="rules">What its method does in training besides; null for the plain step.</param>
    public TrainedAdapter(Adapter adapter, ITrainingHooks? rules = null)
    {
        this.adapter = adapter;
        Rules = rules ?? NoTrainingHooks.Instance;
        adapter.SetTrainable(true);
        foreach ((string key, Tensor weight) in adapter.TrainedWeights) weight.requires_grad = Rules.Trains(key);
        Weights = [.. adapter.TrainedWeights.Where(weight => Rules.Trains(weight.Key))];
        // the weights themselves keep the memory
        FlatTensor.Adopt([.. Weights.Select(weight => weight.Value)]).Dispose();
    }

    /// <inheritdoc/>
    public ITrainingHooks Rules { get; }

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights { get; }

    /// <inheritdoc/>
    public PretrainedModel? Model => adapter.Model;

    /// <inheritdoc/>
    public string FolderName => "adapter";

    /// <inheritdoc/>
    public void Save(string folder) => adapter.Save(folder);
}

/// <summary>Every weight of a model, trained; written as a Hugging Face folder in the dtype its config names.</summary>
public sealed class FullModel : ITrainedWeights
{
    private readonly PretrainedModel model;

    /// <summary>Lets every weight require a gradient.</summary>
    /// <param name="model">Opened with <c>trainable: true</c>, or built from scratch.</param>
    public FullModel(PretrainedModel model)
    {
        this.model = model;
        Weights = [.. model.Network.Parameters];
        foreach (Tensor weight in model.Network.Parameters.Values) weight.requires_grad = true;
    }

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights { get; }

    /// <inheritdoc/>
    public PretrainedModel? Model => model;

    /// <inheritdoc/>
    public string FolderName => "model";

    /// <summary>What it is trained for, for the folder's config.json; null for a language model.</summary>
    public AdapterTask? Task { get; init; }

    /// <summary>How the rows were read that it is trained on; null where nothing has to be said of them.</summary>
    public AdapterData? Data { get; init; }

    /// <summary>The chat templates that it learns, in place of the base's; null keeps those.</summary>
    public AdapterChatTemplates? ChatTemplates { get; init; }

    /// <inheritdoc/>
    public void Save(string folder)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        ScalarType type = StoredType();
        ModelFolder.Write(model.Folder, folder,
            [.. Weights.Select(weight => KeyValuePair.Create(weight.Key, weight.Value.detach().cpu().to(type)))],
            Describe, into =>
            {
                Task?.Save(into);
                ChatTemplates?.Save(into);
                Data?.Save(into);
            });
    }

    private void Describe(System.Text.Json.Nodes.JsonObject config)
    {
        config.Remove(QuantizationConfig.Key); // a base that was expanded to be trained is not quantised any more
        if (Task is not null) TaskConfig.Describe(config, model.Network, Task);
    }

    private ScalarType StoredType()
    {
        string name = model.Config.TextOr("dtype", model.Config.TextOr("torch_dtype", "float32"));
        return name switch
        {
            "bfloat16" => ScalarType.BFloat16,
            "float16" => ScalarType.Float16,
            "float32" => ScalarType.Float32,
            _ => throw new InputException(
                $"{model.Folder}/config.json: dtype is \"{name}\"; supported: float32, float16, bfloat16."),
        };
    }
}
