import { useEffect, useState } from "react";

export function useLoaded<T>(load: () => Promise<T>, key: unknown): { value?: T; error?: string } {
  const [state, setState] = useState<{ value?: T; error?: string }>({});
  useEffect(() => {
    let current = true;
    load().then(
      (value) => current && setState({ value }),
      (error: Error) => current && setState({ error: error.message }),
    );
    return () => {
      current = false;
    };
    // The key names what is loaded; the function is new at each render.
  }, [key]);
  return state;
}
