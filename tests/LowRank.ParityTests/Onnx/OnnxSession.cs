using Microsoft.ML.OnnxRuntime;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests.Onnx;

/// <summary>A model in ONNX Runtime, with tensors in and out.</summary>
/// <param name="file">The model's file.</param>
internal sealed class OnnxSession(string file) : IDisposable
{
    // It warns of inputs that have defaults, which adapters need.
    private readonly InferenceSession session =
        new(file, new SessionOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR });

    /// <summary>The names of its inputs.</summary>
    public IReadOnlyList<string> Inputs => session.InputNames;

    /// <summary>The names of its outputs.</summary>
    public IReadOnlyList<string> Outputs => session.OutputNames;

    /// <summary>Computes all outputs, by name.</summary>
    /// <param name="inputs">Tensors of int64 or float32 by name.</param>
    /// <param name="adapter">An adapter's file, whose tensors are inputs too; null for none.</param>
    public Dictionary<string, Tensor> Run(IReadOnlyDictionary<string, Tensor> inputs, string? adapter = null)
    {
        using var options = new RunOptions();
        OrtLoraAdapter? loaded = adapter is null ? null : OrtLoraAdapter.Create(adapter, null);
        if (loaded is not null) options.AddActiveLoraAdapter(loaded);
        Dictionary<string, OrtValue> values = inputs.ToDictionary(input => input.Key, input => Value(input.Value));
        using IDisposableReadOnlyCollection<OrtValue> results = session.Run(options, values, session.OutputNames);
        foreach (OrtValue value in values.Values) value.Dispose();
        loaded?.Dispose();
        return results.Zip(session.OutputNames).ToDictionary(result => result.Second, result => tensor(
            result.First.GetTensorDataAsSpan<float>().ToArray(), result.First.GetTensorTypeAndShape().Shape));
    }

    public void Dispose() => session.Dispose();

    private static OrtValue Value(Tensor given) => given.dtype == ScalarType.Int64
        ? OrtValue.CreateTensorValueFromMemory(given.contiguous().data<long>().ToArray(), given.shape)
        : OrtValue.CreateTensorValueFromMemory(given.contiguous().data<float>().ToArray(), given.shape);
}
