using LowRank.IO;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

/// <summary>Inputs and what transformers and PEFT make of them (Reference/make_sharing_cases.py).</summary>
internal sealed class SharingCase : IDisposable
{
    public const double Tolerance = 1e-4; // absolute, on float32 logits

    private readonly SafeTensorsFile io;

    public SharingCase(params string[] names)
    {
        Folder = Path.Combine([AppContext.BaseDirectory, "Fixtures", .. names]);
        io = SafeTensorsFile.Open(Path.Combine(Folder, "io.safetensors"));
    }

    public string Folder { get; }

    public static TheoryData<string> Names(string kind) =>
        [.. Directory.EnumerateDirectories(Path.Combine(AppContext.BaseDirectory, "Fixtures", kind))
        .Select(folder => Path.GetFileName(folder)).Order(StringComparer.Ordinal)];

    /// <summary>The head that the case was made with: encoders as masked language models.</summary>
    public static PretrainedModel Open(string folder) =>
        PretrainedModel.Open(folder, TestDevice.Current, head: new HeadRequest(HeadKind.LanguageModel));

    /// <summary>The largest difference of a model's logits from the reference's, where there is no padding.</summary>
    public double Deviation(PretrainedModel model, string expected)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Tensor ids = io.Map("input_ids").to(model.Network.Device),
            mask = io.Map("attention_mask").to(model.Network.Device);
        var input = new ModelInput(ids, mask);
        Tensor found = model.Network is EncoderDecoder pair ? pair.Forward(input, ids.flip(1))
            : ((ISequenceNetwork)model.Network).Scores(input);
        Tensor apart = (found.cpu() - io.Map(expected)).abs();
        return (model.Network is EncoderDecoder ? apart
            : apart * io.Map("attention_mask").unsqueeze(-1)).max().item<float>();
    }

    public void Dispose() => io.Dispose();
}
