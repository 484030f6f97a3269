using System.Text.Json.Nodes;

namespace LowRank.Tasks.Rewards;

/// <summary>Judges a completion: the higher the number, the better.</summary>
/// <param name="prompt">The prompt; of a conversation, its messages as JSON.</param>
/// <param name="completion">What the model wrote, without special tokens.</param>
/// <param name="row">The row of data that has the prompt, with all its fields.</param>
/// <returns>A finite number.</returns>
internal delegate double RewardFunction(string prompt, string completion, JsonObject row);

/// <summary>A completion to judge.</summary>
/// <param name="Prompt">The prompt; of a conversation, its messages as JSON.</param>
/// <param name="Completion">What the model wrote, without special tokens.</param>
/// <param name="Row">The row of data that has the prompt, with all its fields.</param>
internal sealed record RewardedText(string Prompt, string Completion, JsonObject Row);

/// <summary>A way to judge completions, opened for a run.</summary>
internal interface IRewardSource : IDisposable
{
    /// <summary>Its name in metrics and files.</summary>
    string Name { get; }

    /// <summary>The reward of each text.</summary>
    /// <exception cref="InputException">A text cannot be judged.</exception>
    IReadOnlyList<double> Rewards(IReadOnlyList<RewardedText> texts);
}

/// <summary>A function of the program.</summary>
internal sealed class FunctionReward(string name, RewardFunction function) : IRewardSource
{
    /// <inheritdoc/>
    public string Name => name;

    /// <inheritdoc/>
    public IReadOnlyList<double> Rewards(IReadOnlyList<RewardedText> texts) => 
        [.. texts.Select(text => function(text.Prompt, text.Completion, text.Row))];

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}

/// <summary>Several ways to judge, added up with weights.</summary>
/// <param name="sources">The ways; at least one. Takes ownership.</param>
/// <param name="weights">The factor of each; empty for 1 each.</param>
internal sealed class WeightedRewards(IReadOnlyList<IRewardSource> sources, IReadOnlyList<double> weights) : IDisposable
{
    /// <summary>The names of the sources, each once.</summary>
    public IReadOnlyList<string> Names { get; } = [.. sources.Select((source, i) =>
        sources.Take(i).Any(other => other.Name == source.Name) ? $"{source.Name}_{i + 1}" : source.Name)];

    /// <summary>The reward of each text, and what each source gives it.</summary>
    /// <exception cref="InputException">A source fails, or gives a number that is not finite.</exception>
    public IReadOnlyList<JudgedText> Judge(IReadOnlyList<RewardedText> texts)
    {
        var each = new double[sources.Count][];
        for (int i = 0; i < sources.Count; i++)
        {
            each[i] = [.. sources[i].Rewards(texts)];
            int wrong = Array.FindIndex(each[i], reward => !double.IsFinite(reward));
            if (wrong >= 0)
                throw new InputException(
                    $"The reward {Names[i]} of the completion \"{Shortened(texts[wrong].Completion)}\" is " +
                    $"{each[i][wrong]}, expected a finite number.");
        }
        return [.. texts.Select((text, at) => new JudgedText(text,
            each.Select((rewards, i) => rewards[at] * (weights.Count == 0 ? 1 : weights[i])).Sum(),
            [.. each.Select(rewards => rewards[at])]))];
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (IRewardSource source in sources) source.Dispose();
    }

    /// <summary>The beginning of a text, for messages.</summary>
    internal static string Shortened(string text) => text.Length <= 80 ? text : text[..80] + "…";
}

/// <summary>A completion with its reward.</summary>
/// <param name="Text">The completion.</param>
/// <param name="Reward">The weighted sum.</param>
/// <param name="Each">What each source gives.</param>
internal sealed record JudgedText(RewardedText Text, double Reward, IReadOnlyList<double> Each);
