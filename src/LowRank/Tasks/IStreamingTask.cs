using LowRank.Data.Rows;
using LowRank.Data.Streaming;

namespace LowRank.Tasks;

/// <summary>A task whose examples can be made as training asks for them.</summary>
public interface IStreamingTask : ITask
{
    /// <summary>Examples of files of any size.</summary>
    /// <param name="sources">One, or as many as weights.</param>
    /// <param name="options">How rows are drawn.</param>
    /// <param name="count">How many examples the run takes.</param>
    StreamedExamples Stream(IReadOnlyList<RowSource> sources, StreamOptions options, int count);
}
