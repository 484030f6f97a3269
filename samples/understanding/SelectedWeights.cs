using LowRank.IO;
using LowRank.Models;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Samples.Understanding;

/// <summary>Some of a model's own weights, trained; the others stay as they are. Shows that a trainer takes whatever
/// says which weights require a gradient and how they are saved.</summary>
public sealed class SelectedWeights : ITrainedWeights
{
    /// <summary>Lets the weights whose names begin so require a gradient.</summary>
    /// <param name="model">Opened with <c>trainable: true</c>.</param>
    /// <param name="prefix">The beginning of the names.</param>
    /// <exception cref="InputException">No weight has such a name.</exception>
    public SelectedWeights(PretrainedModel model, string prefix)
    {
        Weights =
            [.. model.Network.Parameters.Where(weight => weight.Key.StartsWith(prefix, StringComparison.Ordinal))];
        if (Weights.Count == 0)
            throw new InputException(
                $"No weight begins with \"{prefix}\"; the model has " +
                $"{string.Join(", ", model.Network.Parameters.Keys.Take(10))}, ….");
        foreach (Tensor weight in model.Network.Parameters.Values) weight.requires_grad = false;
        foreach ((string _, Tensor weight) in Weights) weight.requires_grad = true;
    }

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights { get; }

    /// <inheritdoc/>
    public string FolderName => "weights";

    /// <inheritdoc/>
    public void Save(string folder) => AtomicFolder.Write(folder, into =>
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        SafeTensorsWriter.Write(Path.Combine(into, "weights.safetensors"),
            [.. Weights.Select(weight => KeyValuePair.Create(weight.Key, weight.Value.detach().cpu()))]);
    });
}
