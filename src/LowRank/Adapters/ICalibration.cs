namespace LowRank.Adapters;

/// <summary>A look at the data before training, for starts that need one.</summary>
public interface ICalibration
{
    /// <summary>Runs the model over the batches, without gradients.</summary>
    void Forward();

    /// <summary>Runs the model over the batches and adds the gradients of the mean loss to the tensors that require one.</summary>
    void Backward();
}
