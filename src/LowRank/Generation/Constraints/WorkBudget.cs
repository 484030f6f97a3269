namespace LowRank.Generation;

/// <summary>How many steps compiling something may take, so that nothing that a client sends takes long.</summary>
/// <param name="most">The steps.</param>
internal sealed class WorkBudget(long most)
{
    private long left = most;

    /// <summary>Takes steps off.</summary>
    /// <exception cref="InputException">There are not enough left.</exception>
    public void Spend(long steps)
    {
        if ((left -= steps) < 0) throw new InputException("takes too long to compile; make it simpler");
    }
}
