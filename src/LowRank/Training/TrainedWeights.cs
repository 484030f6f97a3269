using LowRank.Adapters;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>The weights that a run trains, and how to save them: an adapter, or every weight of the model.</summary>
internal interface ITrainedWeights
{
    /// <summary>The trained weights by name, in a fixed order; each requires a gradient.</summary>
    IReadOnlyList<KeyValuePair<string, Tensor>> Weights { get; }

    /// <summary>The name of the folder inside the run's output: "adapter" or "model".</summary>
    string FolderName { get; }

    /// <summary>Additional rules of the step; the plain step unless a method says otherwise.</summary>
    ITrainingHooks Rules => NoTrainingHooks.Instance;

    /// <summary>The model with which the run began, whose fingerprint a checkpoint stores; null if unknown.</summary>
    PretrainedModel? Model => null;

    /// <summary>Writes a folder that can be loaded again; it appears complete or not at all.</summary>
    void Save(string folder);
}

/// <summary>Trains an adapter and saves it as a PEFT folder.</summary>
internal sealed class TrainedAdapter : ITrainedWeights
{
    private readonly Adapter adapter;

    /// <summary>Makes the adapter's weights require gradients and moves them into one block of memory.</summary>
    /// <param name="adapter">Attached to its model.</param>
    /// <param name="rules">Additional training rules of its method; null for the plain step.</param>
    public TrainedAdapter(Adapter adapter, ITrainingHooks? rules = null)
    {
        this.adapter = adapter;
        Rules = rules ?? NoTrainingHooks.Instance;
        adapter.SetTrainable(true);
        foreach ((string key, Tensor weight) in adapter.TrainedWeights) weight.requires_grad = Rules.Trains(key);
        Weights = [.. adapter.TrainedWeights.Where(weight => Rules.Trains(weight.Key))];
        // the weights keep the memory alive
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

/// <summary>Trains every weight of a model and saves it as a Hugging Face folder in the dtype of its config.</summary>
internal sealed class FullModel : ITrainedWeights
{
    private readonly PretrainedModel model;

    /// <summary>Makes every weight require a gradient.</summary>
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

    /// <summary>The task, for the folder's config.json; null for a language model.</summary>
    public AdapterTask? Task { get; init; }

    /// <summary>How the training rows were read; null if there is nothing to record.</summary>
    public AdapterData? Data { get; init; }

    /// <summary>The chat templates that it learns instead of the base's; null keeps the base's.</summary>
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
        config.Remove(QuantizationConfig.Key); // a base that was expanded for training is no longer quantised
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
