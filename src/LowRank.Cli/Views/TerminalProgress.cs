using LowRank.Training;

namespace LowRank.Cli.Views;

/// <summary>Shows a run's progress while possible: if the terminal or pipe goes away, the view ends but the run goes
/// on.</summary>
/// <param name="view">The view.</param>
internal sealed class TerminalProgress(ITrainingObserver view) : ITrainingObserver
{
    private bool isGone;

    public void Started(TrainingPlan plan) => Show(() => view.Started(plan));

    public void Stepped(TrainingStep step) => Show(() => view.Stepped(step));

    public void Evaluated(EvaluationResult evaluation) => Show(() => view.Evaluated(evaluation));

    public void Saving(long step) => Show(() => view.Saving(step));

    public void Waiting(string message) => Show(() => view.Waiting(message));

    public void Finished(TrainingResult result) => Show(() => view.Finished(result));

    private void Show(Action show)
    {
        if (isGone) return;
        try
        {
            show();
        }
        catch (IOException e) when (e is not RunStorageException)
        {
            isGone = true;
            System.Diagnostics.Trace.TraceWarning(e.Message);
        }
    }
}
