using LowRank.Data.Rows;
using LowRank.Models;
using LowRank.Tokenization;

namespace LowRank.Tasks;

/// <summary>A task that models are adapted to. A class of this interface is found by its type.</summary>
public interface ITaskKind
{
    /// <summary>The recipe's word for it, such as sequence_classification.</summary>
    string Name { get; }

    /// <summary>The head that a model is opened with.</summary>
    HeadKind Head { get; }

    /// <summary>The keys of the recipe's <c>task_options</c> that have an effect.</summary>
    IReadOnlyList<string> Options { get; }

    /// <summary>Whether a family's models can be adapted to it.</summary>
    bool Fits(Models.Families.IModelFamily family);

    /// <summary>Fills in what follows from the data and the base: labels above all.</summary>
    /// <param name="settings">What the user gave.</param>
    /// <param name="data">The data to train on.</param>
    /// <param name="config">The base's config.</param>
    /// <exception cref="InputException">The data does not tell.</exception>
    TaskSettings Complete(TaskSettings settings, RowSource data, ConfigReader config);

    /// <summary>Scores that the head gives.</summary>
    int HeadSize(TaskSettings settings);

    /// <summary>Puts the task on a model.</summary>
    /// <param name="model">Opened with <see cref="Head"/> and <see cref="HeadSize"/>.</param>
    /// <param name="tokenizer">The model's; null allows rows of tokens only.</param>
    /// <param name="settings">Completed.</param>
    ITask Start(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings);
}
