using LowRank.Adapters;
using LowRank.Tests.Generation;

namespace LowRank.Tests.Facade;

/// <summary>A very small model that a <see cref="LanguageModel"/> can open, and rows to adapt it to.</summary>
internal sealed class LoadedModel : IDisposable
{
    private readonly TalkingModel talking = new TalkingModel().Save();
    private readonly TemporaryFolder folder = new();

    public static LanguageModelOptions Options { get; } = new() { Threads = 1 };

    /// <summary>A few steps at a rate that changes what the model writes.</summary>
    public static TrainingOptions Training { get; } = new() { Steps = 4, BatchSize = 2, LearningRate = 0.05 };

    public static LoraConfig Lora { get; } = new() { Rank = 2, Alpha = 8, TargetModules = ModuleSelection.AllLinear };

    /// <summary>Rows that teach a word for each number.</summary>
    public static IReadOnlyList<(string Prompt, string Completion)> Rows(string word) =>
        [.. Enumerable.Range(0, 8).Select(number => ($"{number}:", $" {word}"))];

    public string Path => talking.Path;

    public string this[string name] => folder[name];

    public Task<LanguageModel> Open(LanguageModelOptions? options = null) =>
        LanguageModel.LoadAsync(talking.Path, options ?? Options, null, TestContext.Current.CancellationToken);

    public static Dataset Data(string word) =>
        Dataset.From(Rows(word).Select(row => new { row.Prompt, row.Completion }));

    public void Dispose()
    {
        talking.Dispose();
        folder.Dispose();
    }
}
