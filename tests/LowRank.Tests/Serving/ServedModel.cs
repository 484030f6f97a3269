using LowRank.Adapters;
using LowRank.Kernels;
using LowRank.Models;
using LowRank.Serving;
using LowRank.Tests.Generation;
using LowRank.Tests.Models;
using static TorchSharp.torch;

namespace LowRank.Tests.Serving;

/// <summary>A very small model with adapters of several kinds in folders, for engines.</summary>
internal sealed class ServedModel : IDisposable
{
    private readonly TalkingModel talking;
    private readonly TemporaryFolder folder = new();

    public ServedModel(int? hidden = null, string architecture = TinyModel.Llama) =>
        talking = new TalkingModel(hidden: hidden, template: "base: {{ messages[0].content }}",
            architecture: architecture).Save();

    public static CancellationToken Token => TestContext.Current.CancellationToken;

    public string Path => talking.Path;

    public string this[string name] => folder[name];

    public Task<LanguageModel> Open(LanguageModelOptions? options = null) =>
        LanguageModel.LoadAsync(talking.Path, options ?? new() { Threads = 1 }, null, Token);

    /// <summary>Bytes of a page of keys and values.</summary>
    public long PageBytes => talking.Model.Decoder.NewPages(1).PageBytes;

    /// <summary>An adapter's folder with random pairs.</summary>
    public string Adapter(string name, AdapterConfig? config = null, long seed = 1)
    {
        if (Directory.Exists(folder[name])) Directory.Delete(folder[name], recursive: true);
        using Adapter adapter = LowRank.Adapters.Adapter.Create(talking.Model, config ?? Lora(4), seed);
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        using var random = new Generator().manual_seed(seed);
        foreach ((string _, Tensor weight) in adapter.TrainedWeights)
            weight.add_(randn(weight.shape, generator: random), alpha: Number(0.3f));
        adapter.Save(folder[name]);
        return folder[name];
    }

    public static LoraConfig Lora(int rank) => new()
        { Rank = rank, Alpha = 2 * rank, TargetModules = ModuleSelection.AllLinear };

    public static async Task<(string Text, ServedEnd? End, float[] Scores)> Write(
        ServingEngine engine, ServingRequest request)
    {
        ServedText text = await engine.SubmitAsync(request with { LogProbs = request.LogProbs ?? 0 }, Token);
        ServedPiece whole = (await text.CollectAsync(Token)).Single();
        return (whole.Text, whole.End, [.. whole.Tokens.Select(token => token.LogProb!.Value)]);
    }

    /// <summary>What is asked for comes before the next step of the model's engines.</summary>
    public static async Task Hold(LanguageModel model, Func<Task> ask)
    {
        using var asked = new ManualResetEventSlim();
        Task<bool> held = model.Do(_ => asked.Wait(CommandLine.Longest, Token), Token);
        try
        {
            await ask();
        }
        finally
        {
            asked.Set();
        }
        Assert.True(await held);
    }

    /// <summary>All requests before the first step.</summary>
    public static async Task<ServedText[]> Together(
        LanguageModel model, ServingEngine engine, params ServingRequest[] requests)
    {
        Task<ServedText>[] texts = [];
        await Hold(model, () =>
        {
            texts = [.. requests.Select(request => engine.SubmitAsync(request, Token))];
            return Task.CompletedTask;
        });
        return await Task.WhenAll(texts);
    }

    public void Dispose()
    {
        talking.Dispose();
        folder.Dispose();
    }
}
