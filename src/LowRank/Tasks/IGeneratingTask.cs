using LowRank.Data;

namespace LowRank.Tasks;

/// <summary>A task that answers with text.</summary>
public interface IGeneratingTask : ITask
{
    /// <summary>What became of the texts so far, a sentence each, such as that the model's context ended some.</summary>
    IReadOnlyList<string> GenerationNotes => [];

    /// <summary>Continues, or turns, the prompt of each row; the likeliest token each time.</summary>
    /// <param name="samples">Rows with "prompt".</param>
    /// <param name="batchSize">Rows computed together.</param>
    /// <param name="maxNewTokens">Most tokens of a text.</param>
    IEnumerable<string> Generate(IReadOnlyList<Sample> samples, int batchSize, int maxNewTokens);
}
