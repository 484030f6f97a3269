namespace LowRank.Adapters;

/// <summary>A look at the data before training, for starts that need one.</summary>
public interface ICalibration
{
    /// <summary>Runs the model over examples one at a time, without gradients and without padding.</summary>
    /// <param name="beforeEach">Hears, before each example, which of its positions have labels; null where labels do not belong
    /// to positions.</param>
    void Forward(Action<IReadOnlyList<int>?> beforeEach);

    /// <summary>Adds the gradient of the mean loss over the examples to every tensor in use that requires one.</summary>
    void Backward();
}
