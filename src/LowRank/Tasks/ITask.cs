using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Training;
using System.Text.Json.Nodes;

namespace LowRank.Tasks;

/// <summary>A task on a model: reads its rows, gives its loss and metrics, and answers.</summary>
public interface ITask : IObjective
{
    /// <summary>Reads rows with their labels.</summary>
    /// <param name="source">The rows.</param>
    /// <exception cref="InputException">Rows that cannot be used: all are counted, the first ten problems shown. Or no row is left.</exception>
    TaskData Read(RowSource source);

    /// <summary>Reads rows of files.</summary>
    /// <inheritdoc cref="Read(RowSource)"/>
    TaskData Read(IReadOnlyList<string> files) => Read(RowSource.Of(files));

    /// <summary>Answers rows, labelled or not.</summary>
    /// <param name="source">The rows.</param>
    /// <param name="batchSize">Rows computed together.</param>
    /// <param name="notes">Receives what the user has to know of the rows, such as texts that are cut, a sentence each, before the
    /// first answer; null for nobody.</param>
    /// <returns>An object for each row in their order: the row's own fields are not repeated.</returns>
    /// <exception cref="InputException">Rows that cannot be used, all at once; nothing is computed then.</exception>
    IEnumerable<JsonObject> Predict(RowSource source, int batchSize, ICollection<string>? notes = null);

    /// <summary>What is kept beside an adapter; null where PEFT's config says it all.</summary>
    AdapterTask? Describe();
}
